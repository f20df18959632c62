using System.Security.Cryptography;
using System.Text.Json;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Runs;

/// <summary>manifest.json of a checkpoint: what must lie in its folder for it to be whole.</summary>
/// <param name="FormatVersion">The version of the manifest's format.</param>
/// <param name="Step">The step of the state.</param>
/// <param name="Files">Every file but the manifest itself, by its path in the folder.</param>
internal sealed record CheckpointManifest(int FormatVersion, int Step, IReadOnlyDictionary<string, CheckpointFile> Files)
{
    internal const string FileName = "manifest.json";
    private const int CurrentFormat = 1;
    private const long LargestFile = 16 << 20;

    /// <summary>Puts every file of the folder on disk, hashes it, and writes the manifest last.</summary>
    /// <param name="folder">A folder in which all files are written.</param>
    /// <param name="step">The step of the state.</param>
    /// <param name="before">Called with what comes next, before each operation on a file.</param>
    internal static void Write(string folder, int step, Action<string> before)
    {
        var files = new SortedDictionary<string, CheckpointFile>(StringComparer.Ordinal);
        foreach (var path in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            before("sync a file");
            using var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
            RandomAccess.FlushToDisk(file.SafeFileHandle);
            files[NameIn(folder, path)] = CheckpointFile.FromStream(file);
        }
        foreach (var inner in Directory.EnumerateDirectories(folder, "*", SearchOption.AllDirectories))
        {
            before("sync an inner folder");
            FolderSync.Flush(inner);
        }
        before("write the manifest");
        var text = JsonSerializer.Serialize(new CheckpointManifest(CurrentFormat, step, files), JsonFormat.Document);
        AtomicFile.WriteText(Path.Combine(folder, FileName), text + "\n");
    }

    /// <summary>Why the folder is not the whole checkpoint of a step; null if it is.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="step">The step its name says.</param>
    /// <param name="hashes">Whether the files are read and hashed, too, or only their sizes compared.</param>
    internal static string? Fault(string folder, int step, bool hashes)
    {
        try
        {
            var path = Path.Combine(folder, FileName);
            if (!File.Exists(path)) return $"it has no {FileName}";
            if (new FileInfo(path).Length > LargestFile) return $"its {FileName} is longer than any that Koala writes";
            var manifest = JsonSerializer.Deserialize<CheckpointManifest>(File.ReadAllText(path), JsonFormat.Document);
            if (manifest?.Files is null || manifest.FormatVersion != CurrentFormat) return $"its {FileName} is not of format version {CurrentFormat}";
            if (manifest.Step != step) return $"its {FileName} is of step {manifest.Step}";

            // Names are taken from the folder and looked up in the manifest, never the other way: a manifest cannot point elsewhere.
            var found = Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories)
                .Select(file => NameIn(folder, file)).Where(name => name != FileName).ToHashSet();
            if (manifest.Files.Keys.FirstOrDefault(name => !found.Contains(name)) is { } missing) return $"{missing} is missing";
            foreach (var name in found.Order(StringComparer.Ordinal))
            {
                if (!manifest.Files.TryGetValue(name, out var expected) || expected is null) return $"{name} is not in its {FileName}";
                if (expected.Fault(Path.Combine(folder, name), hashes) is { } fault) return $"{name} {fault}";
            }
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            return $"it cannot be read ({e.Message.ReplaceLineEndings(" ").TrimEnd('.')})";
        }
    }

    private static string NameIn(string folder, string path) => Path.GetRelativePath(folder, path).Replace('\\', '/');
}

/// <summary>One file of a checkpoint.</summary>
/// <param name="Bytes">Its length.</param>
/// <param name="Sha256">The SHA-256 of its bytes, in lower-case hexadecimal digits.</param>
internal sealed record CheckpointFile(long Bytes, string Sha256)
{
    internal static CheckpointFile FromStream(FileStream file) => new(file.Length, Convert.ToHexStringLower(SHA256.HashData(file)));

    /// <summary>Why the file is not this one; null if it is.</summary>
    internal string? Fault(string path, bool hash)
    {
        using var file = File.OpenRead(path);
        if (file.Length != Bytes) return $"has {file.Length} bytes, not {Bytes}";
        return hash && FromStream(file).Sha256 != Sha256 ? "has another SHA-256" : null;
    }
}
