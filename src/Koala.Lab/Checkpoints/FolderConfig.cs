using System.Text.Json;

namespace Koala.Lab.Checkpoints;

/// <summary>Reads the config.json of a folder, whatever kind of folder it is.</summary>
internal static class FolderConfig
{
    /// <summary>The file's name.</summary>
    internal const string FileName = "config.json";

    /// <summary>The largest config in bytes. Real ones have some kilobytes.</summary>
    internal const long Longest = 1 << 20;

    /// <summary>Reads a config as an object.</summary>
    /// <exception cref="KoalaException">The file cannot be read, is too long, or is not a JSON object.</exception>
    internal static JsonElement Read(string path) => JsonFile.Parse(JsonFile.Read(path, Longest), path);

    /// <summary>Reads a folder's config to find out what the folder is.</summary>
    /// <returns>The object; null if there is none that can be read. What needs the config reports the fault.</returns>
    internal static JsonElement? TryRead(string folder, string file = FileName)
    {
        var path = Path.Combine(folder, file);
        if (!File.Exists(path)) return null;
        try
        {
            return Read(path);
        }
        catch (KoalaException)
        {
            return null;
        }
    }
}
