using System.IO.Compression;

namespace Koala.Lab.Tests;

/// <summary>Finds the repository's files for tests.</summary>
internal static class TestFiles
{
    /// <summary>The repository's root: the folder above the test assembly that holds Koala.slnx.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>The path of a file or folder below the root.</summary>
    public static string At(params string[] parts) => Path.Combine([Root, .. parts]);

    /// <summary>The text of a gzip file below the root.</summary>
    public static string Unpacked(params string[] parts)
    {
        using var reader = new StreamReader(new GZipStream(File.OpenRead(At(parts)), CompressionMode.Decompress));
        return reader.ReadToEnd();
    }

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "Koala.slnx"))) return folder.FullName;
        throw new InvalidOperationException($"no Koala.slnx above {AppContext.BaseDirectory}");
    }
}

/// <summary>A temporary folder that is deleted after the test.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("koala-test-").FullName;

    public string At(params string[] parts) => System.IO.Path.Combine([Path, .. parts]);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
