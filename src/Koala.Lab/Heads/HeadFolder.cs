using System.Text.Json;
using Koala.Lab.Runtime;
using Koala.Lab.Targets;

namespace Koala.Lab.Heads;

/// <summary>A head's folder: config.json, model.safetensors, card.md.</summary>
internal static class HeadFolder
{
    public const string ConfigFile = "config.json";
    public const string WeightsFile = "model.safetensors";
    public const string CardFile = "card.md";

    private const int Format = 1;

    private sealed record Config(int Format, HeadOptions Head, TargetIdentity Target);

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
        catch (Exception e) when (e is JsonException or NotSupportedException)
        {
            throw new KoalaException(path, $"is not a head's config ({e.Message.TrimEnd('.')})", "name the folder of a head that Koala wrote", e);
        }
    }

    public static void WriteConfig(string folder, HeadOptions options, TargetIdentity target, string card)
    {
        AtomicFile.WriteText(Path.Combine(folder, CardFile), card);
        // The config last: a folder without it is no head, so one that was cut short is not taken for one.
        AtomicFile.WriteText(Path.Combine(folder, ConfigFile), JsonSerializer.Serialize(new Config(Format, options, target), JsonFormat.Document) + "\n");
    }
}
