using System.Text.Json;
using Koala.Lab.Checkpoints;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Targets;

namespace Koala.Lab.Heads;

/// <summary>The folder of a head: config.json, model.safetensors and card.md.</summary>
public static class HeadFolder
{
    internal const string ConfigFile = "config.json";
    internal const string WeightsFile = "model.safetensors";
    internal const string CardFile = "card.md";

    private const int Format = 1;
    private const string Name = "name the folder of a head, or of a run that has trained one";

    private sealed record Config(int Format, HeadOptions Head, TargetIdentity Target);

    /// <summary>Whether the folder holds a head, which means that its config names a target.</summary>
    public static bool IsHead(string folder)
    {
        KoalaException.ThrowIfNull(folder);
        // The code that reads it as a target's config reports what is wrong with a config that cannot be read.
        return FolderConfig.TryRead(folder) is { } config && IsHead(config);
    }

    /// <summary>
    /// Reads the kind and sizes of the head in a folder, and the target that it is made for. It reads no weights.
    /// </summary>
    /// <exception cref="KoalaException">There is no head, or its config is malformed or of another format.</exception>
    public static (HeadOptions Options, TargetIdentity Target) ReadConfig(string folder)
    {
        KoalaException.ThrowIfNull(folder);
        var path = Path.Combine(folder, ConfigFile);
        if (!File.Exists(path))
            throw (Directory.Exists(folder) ? OfAnotherProject(folder) : null)
                ?? new KoalaException(folder, $"holds no head ({ConfigFile} is missing)", Name);
        var json = FolderConfig.Read(path);
        if (!IsHead(json) && OfAnotherProject(folder) is { } foreign) throw foreign;
        if (!IsHead(json) && (json.TryGetProperty("architectures", out _) || json.TryGetProperty("model_type", out _)))
            throw new KoalaException(folder, "holds a target, not a head", Name);
        try
        {
            if (new JsonSection(json, path).Number("format") is var format && format != Format)
                throw new KoalaException(path, $"has format {format}, but this Koala reads format {Format}",
                    "update Koala, or train the head again");
            var config = json.Deserialize<Config>(JsonFormat.Document)!;
            config.Head.Validate();
            return (config.Head, config.Target);
        }
        catch (Exception e) when (e is JsonException or NotSupportedException)
        {
            throw new KoalaException(path, $"cannot be read as a head's config ({MessageText.Sentence(e.Message)})", Name, e);
        }
    }

    internal static void WriteConfig(string folder, HeadOptions options, TargetIdentity target, string card)
    {
        AtomicFile.WriteText(Path.Combine(folder, CardFile), card);
        // The config comes last. A folder without a config is no head, so a folder that is cut short is not mistaken
        // for one.
        var config = JsonSerializer.Serialize(new Config(Format, options, target), JsonFormat.Document);
        AtomicFile.WriteText(Path.Combine(folder, ConfigFile), config + "\n");
    }

    // The config of such a head names no target.
    private static KoalaException? OfAnotherProject(string folder) => ForeignFolder.FormatOf(folder) is { } format
        ? ForeignFolder.Unreadable(folder, format)
            ?? new KoalaException(folder,
                $"is a draft head in the published format of {format}, whose config does not say what its target is",
                $"load it together with its target: {nameof(DraftHead)}.{nameof(DraftHead.Load)}")
        : ForeignFolder.Find(folder);

    private static bool IsHead(JsonElement config) => config.TryGetProperty("head", out _) && config.TryGetProperty("target", out _);
}
