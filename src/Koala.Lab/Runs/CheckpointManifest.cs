using System.Security.Cryptography;
using System.Text.Json;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Runs;

/// <summary>The manifest.json of a checkpoint: the files that its folder must contain to be complete.</summary>
/// <param name="FormatVersion">The version of the manifest's format.</param>
/// <param name="Step">The step that the state was saved after.</param>
/// <param name="Files">Every file except the manifest itself, by its path in the folder.</param>
internal sealed record CheckpointManifest(int FormatVersion, int Step, IReadOnlyDictionary<string, CheckpointFile> Files)
{
    internal const string FileName = "manifest.json";
    private const int CurrentFormat = 1;
    private const long LargestFile = 16 << 20;

    /// <summary>Syncs every file of the folder to disk, hashes it, and writes the manifest last.</summary>
    /// <param name="folder">The folder, which already contains all files.</param>
    /// <param name="step">The step that the state was saved after.</param>
    /// <param name="beforeOperation">Called before each operation on a file, with the name of the operation.</param>
    internal static void Write(string folder, int step, Action<string> beforeOperation)
    {
        var files = new SortedDictionary<string, CheckpointFile>(StringComparer.Ordinal);
        foreach (var path in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            beforeOperation("sync a file");
            using var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
            RandomAccess.FlushToDisk(file.SafeFileHandle);
            files[NameIn(folder, path)] = CheckpointFile.FromStream(file);
        }
        foreach (var inner in Directory.EnumerateDirectories(folder, "*", SearchOption.AllDirectories))
        {
            beforeOperation("sync an inner folder");
            FolderSync.Flush(inner);
        }
        beforeOperation("write the manifest");
        var text = JsonSerializer.Serialize(new CheckpointManifest(CurrentFormat, step, files), JsonFormat.Document);
        AtomicFile.WriteText(Path.Combine(folder, FileName), text + "\n");
    }

    /// <summary>Says why the folder is not the complete checkpoint of a step; null if it is.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="step">The step in the folder's name.</param>
    /// <param name="hashes">Whether to read and hash the files; if false, only their sizes are compared.</param>
    internal static string? Fault(string folder, int step, bool hashes)
    {
        try
        {
            var path = Path.Combine(folder, FileName);
            if (!File.Exists(path)) return $"it has no {FileName}";
            var manifest = JsonSerializer.Deserialize<CheckpointManifest>(InputFile.ReadText(path, LargestFile), JsonFormat.Document);
            if (manifest?.Files is null || manifest.FormatVersion != CurrentFormat)
                return $"its {FileName} does not have format version {CurrentFormat}";
            return manifest.Step != step ? $"its {FileName} is that of step {manifest.Step}" : manifest.FilesFault(folder, hashes);
        }
        catch (KoalaException e)
        {
            return $"{Path.GetFileName(e.Where)} {e.Fault}";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or InvalidOperationException)
        {
            // The last one is thrown for half a surrogate pair.
            return $"it cannot be read ({e.Message.ReplaceLineEndings(" ").TrimEnd('.')})";
        }
    }

    private string? FilesFault(string folder, bool hashes)
    {
        // Names come from the folder and are looked up in the manifest, never the reverse: a manifest cannot point elsewhere.
        var paths = Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories);
        var found = paths.Select(file => NameIn(folder, file)).Where(name => name != FileName).ToHashSet();
        if (Files.Keys.FirstOrDefault(name => !found.Contains(name)) is { } missing) return $"{missing} is missing";
        foreach (var name in found.Order(StringComparer.Ordinal))
        {
            if (!Files.TryGetValue(name, out var expected) || expected is null) return $"{name} is not in its {FileName}";
            if (expected.Fault(Path.Combine(folder, name), hashes) is { } fault) return $"{name} {fault}";
        }
        return null;
    }

    private static string NameIn(string folder, string path) => Path.GetRelativePath(folder, path).Replace('\\', '/');
}

/// <summary>One file of a checkpoint.</summary>
/// <param name="Bytes">Its length in bytes.</param>
/// <param name="Sha256">The SHA-256 of its bytes, in lower-case hexadecimal digits.</param>
internal sealed record CheckpointFile(long Bytes, string Sha256)
{
    internal static CheckpointFile FromStream(FileStream file) =>
        new(file.Length, Convert.ToHexStringLower(SHA256.HashData(file)));

    /// <summary>Says why a file is not this one; null if it is.</summary>
    internal string? Fault(string path, bool hash)
    {
        using var file = InputFile.Open(path);
        if (file.Length != Bytes) return $"has {file.Length} bytes, not {Bytes}";
        return hash && FromStream(file).Sha256 != Sha256 ? "has a different SHA-256" : null;
    }
}
