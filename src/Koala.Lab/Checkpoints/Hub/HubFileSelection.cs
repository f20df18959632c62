namespace Koala.Lab.Checkpoints.Hub;

/// <summary>Selects the files of a repository to download.</summary>
internal static class HubFileSelection
{
    // The names of weights that Koala reads, the preferred ones first: one file or shards of a model, and the heads of Medusa.
    private static readonly string[] s_weights = ["model.safetensors", "pytorch_model.bin"];
    private static readonly string[] s_medusa = ["medusa_lm_head.safetensors", "medusa_lm_head.pt"];

    private static readonly string[] s_small =
    [
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "chat_template.jinja",
    ];

    /// <summary>
    /// Selects the requested file, or all files that a target or a head needs: the configuration and the tokenizer first, then the
    /// weights, in safetensors if there are any.
    /// </summary>
    /// <exception cref="KoalaException">The repository has no such file, or lacks files that a target needs.</exception>
    public static IReadOnlyList<HubFile> Select(HubListing listing, HubName name)
    {
        if (name.File is { } requested)
            return listing.Files.FirstOrDefault(file => file.Name == requested) is { } found
                ? [found]
                : throw new KoalaException(name.ToString(), $"is not in the repository, which contains {Names(listing.Files)}",
                    "check the name");
        var weights = WeightsOf(listing);
        if (weights.Length == 0) throw NoWeights(listing, name.Repo);
        if (listing.Files.All(file => file.Name != "config.json"))
            throw new KoalaException(name.Repo,
                $"contains no config.json, which a target needs; it contains {Names(listing.Files)}",
                "use another repository, or name the one file you want");
        return [.. listing.Files.Where(file => s_small.Contains(file.Name)), .. weights];
    }

    // A single file of weights makes shards superfluous. Some repositories contain the same weights again for other programs
    // (consolidated.safetensors).
    private static HubFile[] WeightsOf(HubListing listing)
    {
        HubFile? Named(string name) => listing.Files.FirstOrDefault(file => file.Name == name);
        foreach (var name in s_weights)
        {
            if (Named(name) is { } single) return [single];
            if (Named($"{name}.index.json") is { } index) return [index, .. listing.Files.Where(file => IsShard(file.Name, name))];
        }
        return s_medusa.Select(Named).FirstOrDefault(file => file is not null) is { } head ? [head] : [];
    }

    private static bool IsShard(string name, string weights) =>
        name.EndsWith(Path.GetExtension(weights), StringComparison.Ordinal) && !name.Contains('/', StringComparison.Ordinal)
        && (name.EndsWith(".safetensors", StringComparison.Ordinal)
            ? !name.StartsWith("consolidated", StringComparison.Ordinal)
            : name.StartsWith("pytorch_model-", StringComparison.Ordinal));

    private static KoalaException NoWeights(HubListing listing, string repo)
    {
        var gguf = listing.Files.Where(file => file.Name.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase)).ToArray();
        return gguf.Length > 0
            ? new KoalaException(repo, $"contains GGUF files and no {s_weights[0]}: {Names(gguf)}",
                $"name one: koala pull {repo} {gguf[0].Name}")
            : new KoalaException(repo, $"contains no weights that Koala reads; it contains {Names(listing.Files)}",
                "use a repository with model.safetensors, or name the one file you want");
    }

    private static string Names(IReadOnlyCollection<HubFile> files) =>
        files.Count == 0 ? "no file" : MessageText.List([.. files.Select(file => file.Name)]);
}
