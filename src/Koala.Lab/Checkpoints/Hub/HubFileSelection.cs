namespace Koala.Lab.Checkpoints.Hub;

/// <summary>Which files of a repository are downloaded.</summary>
internal static class HubFileSelection
{
    private const string Weights = "model.safetensors";
    private static readonly string[] s_small =
        ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"];

    /// <summary>The file asked for, or all that a target needs: configuration, tokenizer, and the weights in safetensors. Small ones first.</summary>
    /// <exception cref="KoalaException">The repository has no such file, or nothing that makes a target.</exception>
    public static IReadOnlyList<HubFile> Select(HubListing listing, HubName name)
    {
        if (name.File is { } one)
            return listing.Files.FirstOrDefault(file => file.Name == one) is { } found ? [found]
                : throw new KoalaException(name.ToString(), $"is not in the repository, which holds {Held(listing.Files)}", "check the name");
        var weights = WeightsOf(listing);
        if (weights.Length == 0) throw NoWeights(listing, name.Repo);
        if (listing.Files.All(file => file.Name != "config.json"))
            throw new KoalaException(name.Repo, $"holds no config.json, which a target needs; it holds {Held(listing.Files)}", "use another repository, or name the one file you want");
        return [.. listing.Files.Where(file => s_small.Contains(file.Name)), .. weights];
    }

    // Some repositories hold the same weights again for other programs (consolidated.safetensors); the whole file makes shards superfluous.
    private static HubFile[] WeightsOf(HubListing listing)
    {
        if (listing.Files.FirstOrDefault(file => file.Name == Weights) is { } whole) return [whole];
        if (listing.Files.FirstOrDefault(file => file.Name == Weights + ".index.json") is not { } index) return [];
        return [index, .. listing.Files.Where(file => file.Name.EndsWith(".safetensors", StringComparison.Ordinal)
            && !file.Name.Contains('/', StringComparison.Ordinal) && !file.Name.StartsWith("consolidated", StringComparison.Ordinal))];
    }

    private static KoalaException NoWeights(HubListing listing, string repo)
    {
        var packed = listing.Files.Where(file => file.Name.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase)).ToArray();
        return packed.Length > 0
            ? new KoalaException(repo, $"holds GGUF files and no safetensors: {Held(packed)}", $"name one: koala pull {repo} {packed[0].Name}")
            : new KoalaException(repo, $"holds no weights in safetensors; it holds {Held(listing.Files)}", "use a repository with model.safetensors, or name the one file you want");
    }

    private static string Held(IReadOnlyCollection<HubFile> files) => files.Count == 0 ? "no file" : MessageText.List([.. files.Select(file => file.Name)]);
}
