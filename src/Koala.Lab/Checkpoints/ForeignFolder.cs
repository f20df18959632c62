using System.Text.Json;

namespace Koala.Lab.Checkpoints;

/// <summary>
/// Recognizes folders that are neither a target nor a head of Koala: heads in the formats of other projects, adapters, and folders of
/// single files. An error then names what is there.
/// </summary>
internal static class ForeignFolder
{
    /// <summary>How an adapter becomes a model that Koala reads.</summary>
    internal const string MergedAdapter = "merge it into its base model where peft is installed: merge_and_unload() and save_pretrained()";

    private const string Speculators = "speculators (";

    private static readonly string[] s_readFormats = ["Medusa", "EAGLE", "EAGLE-3"];

    /// <summary>
    /// Returns the error for a head of another project or an adapter, which is no target and no head of Koala's; null for every other
    /// folder.
    /// </summary>
    /// <param name="folder">A folder.</param>
    internal static KoalaException? Find(string folder)
    {
        var config = FolderConfig.TryRead(folder);
        if (FormatOf(folder) is { } format)
            return Unreadable(folder, format)
                ?? new KoalaException(folder, $"is a draft head in the published format of {format}, not a target",
                    "name it as the head, together with the target that it was made for");
        if (config is null && FolderConfig.TryRead(folder, "adapter_config.json") is { } adapter)
            return new KoalaException(folder, $"is an adapter (LoRA){BaseOf(adapter)}, not a whole model", MergedAdapter);
        return null;
    }

    /// <summary>Whether Koala reads heads of a format that <see cref="FormatOf"/> returned.</summary>
    internal static bool IsRead(string format) =>
        s_readFormats.Contains(format) || format.StartsWith($"{Speculators}eagle", StringComparison.Ordinal);

    /// <summary>Returns the error for a head in a format that Koala does not read; null if it reads the format.</summary>
    internal static KoalaException? Unreadable(string folder, string format) => IsRead(format)
        ? null
        : new KoalaException(folder, $"is a draft head in the published format of {format}, which Koala does not read",
            $"use a head in the format of {string.Join(", ", s_readFormats)} or speculators (eagle3), or train one for this target");

    /// <summary>Returns the error for a folder without a config, which says what is there.</summary>
    internal static KoalaException WithoutConfig(string folder)
    {
        string[] files = [.. Directory.EnumerateFiles(folder).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];
        string[] ggufs = [.. files.Where(file => file.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase))];
        if (ggufs.Length > 0)
            return new KoalaException(folder, $"contains no config.json, but GGUF files: {MessageText.List(ggufs)}",
                $"name one of them: {Path.Combine(folder, ggufs[0])}");
        var found = files.Length == 0 ? "it has no files" : $"it has {MessageText.List(files)}";
        return new KoalaException(folder, $"contains no config.json, so it is no model, head or run; {found}",
            "name a model's folder in Hugging Face's layout, or the folder of a head or a run");
    }

    /// <summary>Returns the format of the head of another project in a folder; null if it holds none.</summary>
    internal static string? FormatOf(string folder)
    {
        var config = FolderConfig.TryRead(folder);
        if (Directory.EnumerateFiles(folder, "medusa_lm_head.*").Any()) return "Medusa";
        if (config is not { } json) return null;
        bool Has(string key) => json.TryGetProperty(key, out _);
        string Text(string key) => json.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.String
            ? value.GetString()!
            : "";
        var architecture = json.TryGetProperty("architectures", out var names) && names.ValueKind == JsonValueKind.Array
            ? string.Join(' ', names.EnumerateArray())
            : "";
        bool IsNamed(string project) => architecture.Contains(project, StringComparison.OrdinalIgnoreCase)
            || Text("model_type").StartsWith(project, StringComparison.OrdinalIgnoreCase);
        if (Has("speculators_config") || Has("speculators_model_type"))
            return $"{Speculators}{MessageText.Text(Text("speculators_model_type"))})";
        if (Has("medusa_num_heads") || IsNamed("medusa")) return "Medusa";
        if (Has("hydra_num_heads") || IsNamed("hydra")) return "Hydra";
        if (IsNamed("mlp_speculator") || IsNamed("MLPSpeculator")) return "MLP speculator";
        if (Has("draft_vocab_size") || IsNamed("eagle3")) return "EAGLE-3";
        if (IsNamed("eagle")) return "EAGLE";
        var isSharded = File.Exists(Path.Combine(folder, "model.safetensors.index.json"));
        return TensorsOf(folder) switch
        {
            // The first EAGLE heads call themselves a Llama of one layer; the bias is that of their linear layer.
            null when Has("bias") && !isSharded => "EAGLE",
            { } tensors when Has("bias") && !tensors.Contains("model.embed_tokens.weight") => "EAGLE",
            { } tensors when tensors.Contains("d2t") || tensors.Contains("midlayer.input_layernorm.weight") => "EAGLE-3",
            { } tensors when tensors.Contains("fc.weight") && !tensors.Contains("model.embed_tokens.weight") => "EAGLE",
            _ => null,
        };
    }

    // The names of the tensors of a head without a config that names it. A file that cannot be read names nothing; what reads it as a
    // target reports the fault.
    private static HashSet<string>? TensorsOf(string folder)
    {
        string[] names = ["model.safetensors", "pytorch_model.bin"];
        if (names.Select(name => Path.Combine(folder, name)).FirstOrDefault(File.Exists) is not { } file) return null;
        try
        {
            using var source = WeightFile.Open(file);
            return [.. source.Tensors.Keys];
        }
        catch (KoalaException)
        {
            return null;
        }
    }

    private static string BaseOf(JsonElement adapter) =>
        adapter.TryGetProperty("base_model_name_or_path", out var name) && name.ValueKind == JsonValueKind.String
            ? $" for {MessageText.Text(name.GetString()!)}"
            : "";
}
