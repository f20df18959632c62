using System.Text.Json;
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

    private sealed record Config(int Format, HeadOptions Head, TargetIdentity Target);

    /// <summary>Whether the folder holds a head, which means that its config names a target.</summary>
    public static bool IsHead(string folder)
    {
        var path = Path.Combine(folder, ConfigFile);
        if (!File.Exists(path)) return false;
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllText(path));
            var root = document.RootElement;
            return root.ValueKind == JsonValueKind.Object && root.TryGetProperty("head", out _) && root.TryGetProperty("target", out _);
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            // The code that reads it as a target's config reports what is wrong with it.
            return false;
        }
    }

    /// <summary>
    /// Reads the kind and sizes of the head in a folder, and the target that it is made for. It reads no weights.
    /// </summary>
    /// <exception cref="KoalaException">There is no head, or its config is malformed or of another format.</exception>
    public static (HeadOptions Options, TargetIdentity Target) ReadConfig(string folder)
    {
        var path = Path.Combine(folder, ConfigFile);
        if (!File.Exists(path))
            throw new KoalaException(folder, $"holds no head ({ConfigFile} is missing)",
                "name the folder of a head, or of a run that has trained one");
        try
        {
            var config = JsonSerializer.Deserialize<Config>(File.ReadAllText(path), JsonFormat.Document)
                ?? throw new JsonException("it is null");
            if (config.Format != Format)
                throw new KoalaException(path, $"has format {config.Format}, but this Koala reads format {Format}",
                    "update Koala, or train the head again");
            config.Head.Validate();
            return (config.Head, config.Target);
        }
        catch (Exception e) when (e is JsonException or NotSupportedException or IOException or UnauthorizedAccessException)
        {
            var reason = e.Message.ReplaceLineEndings(" ").TrimEnd('.');
            throw new KoalaException(path, $"cannot be read as a head's config ({reason})",
                "name the folder of a head that Koala wrote", e);
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
}
