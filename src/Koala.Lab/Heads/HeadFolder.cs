using System.Text.Json;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Targets;

namespace Koala.Lab.Heads;

/// <summary>A head's folder: config.json, model.safetensors, card.md.</summary>
public static class HeadFolder
{
    internal const string ConfigFile = "config.json";
    internal const string WeightsFile = "model.safetensors";
    internal const string CardFile = "card.md";

    private const int Format = 1;

    private sealed record Config(int Format, HeadOptions Head, TargetIdentity Target);

    /// <summary>Whether the folder holds a head: whether its config names a target.</summary>
    public static bool IsHead(string folder)
    {
        var path = Path.Combine(folder, ConfigFile);
        if (!File.Exists(path)) return false;
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllText(path));
            return document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty("head", out _) && document.RootElement.TryGetProperty("target", out _);
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            // Whoever reads it as a target's config says what is wrong with it.
            return false;
        }
    }

    /// <summary>Kind and sizes of the head in a folder, and the target it is made for; no weight is read.</summary>
    /// <exception cref="KoalaException">There is no head, or its config is malformed or of another format.</exception>
    public static (HeadOptions Options, TargetIdentity Target) ReadConfig(string folder)
    {
        var path = Path.Combine(folder, ConfigFile);
        if (!File.Exists(path))
            throw new KoalaException(folder, $"holds no head ({ConfigFile} is missing)", "name the folder of a head, or of a run that has trained one");
        try
        {
            var config = JsonSerializer.Deserialize<Config>(File.ReadAllText(path), JsonFormat.Document) ?? throw new JsonException("it is null");
            if (config.Format != Format)
                throw new KoalaException(path, $"has format {config.Format}, but this Koala reads format {Format}", "update Koala, or train the head again");
            config.Head.Validate();
            return (config.Head, config.Target);
        }
        catch (Exception e) when (e is JsonException or NotSupportedException or IOException or UnauthorizedAccessException)
        {
            throw new KoalaException(path, $"cannot be read as a head's config ({e.Message.ReplaceLineEndings(" ").TrimEnd('.')})", "name the folder of a head that Koala wrote", e);
        }
    }

    internal static void WriteConfig(string folder, HeadOptions options, TargetIdentity target, string card)
    {
        AtomicFile.WriteText(Path.Combine(folder, CardFile), card);
        // The config last: a folder without it is no head, so one that was cut short is not taken for one.
        AtomicFile.WriteText(Path.Combine(folder, ConfigFile), JsonSerializer.Serialize(new Config(Format, options, target), JsonFormat.Document) + "\n");
    }
}
