using System.Formats.Tar;
using System.IO.Compression;
using Koala.Lab;

namespace Koala.Cli.Bundling;

/// <summary>The command with the .NET runtime in one folder, for machines that have a PyTorch and no .NET: without a libtorch of its own.</summary>
internal sealed class Bundle
{
    private const string Readme = """
        Koala for a machine with PyTorch and no .NET (Linux x64).

        Name PyTorch's libraries, which Koala computes with, and look whether all is well:

            export KOALA_LIBTORCH=$(python3 -c 'import os, torch; print(os.path.join(os.path.dirname(torch.__file__), "lib"))')
            ./koala doctor

        Then as in the project, with --device cuda for the GPU:

            ./koala generate --target FOLDER_OR_GGUF --device cuda --prompt 'Why is the sky blue?'
            ./koala --help

        """;

    // For everybody, whatever modes the packages' files carry.
    private const UnixFileMode Executable = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
        | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    private const UnixFileMode Plain = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    private static readonly string[] s_programs = ["koala", "createdump"];

    private readonly string _sources;

    /// <param name="start">A folder in the clone.</param>
    /// <param name="folder">Where the bundle goes; must not exist yet, nor the archive beside it.</param>
    /// <exception cref="KoalaException"><paramref name="start"/> lies in no clone of the project, or the folder or the archive exists.</exception>
    public Bundle(string start, string folder)
    {
        var clone = new DirectoryInfo(start);
        while (clone is not null && !File.Exists(Path.Combine(clone.FullName, "Koala.slnx"))) clone = clone.Parent;
        _sources = clone?.FullName
            ?? throw new KoalaException("koala bundle", "is made from the project's sources, and this koala does not stand in a clone of them", "run ./koala bundle in a clone");
        Folder = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        foreach (var path in (string[])[Folder, Archive])
            if (Path.Exists(path)) throw new KoalaException($"--out {path}", "exists already", "name another folder, or delete it");
    }

    /// <summary>The folder.</summary>
    public string Folder { get; }

    /// <summary>The folder, packed.</summary>
    public string Archive => Folder + ".tar.gz";

    /// <summary>Builds both; each is complete or absent afterwards.</summary>
    /// <param name="cancel">Ends the build.</param>
    /// <exception cref="KoalaException">They cannot be written, or the build failed.</exception>
    public void Write(CancellationToken cancel)
    {
        // Beside the folder, so that what is done can be renamed into place.
        var work = Folder + ".partial";
        try
        {
            Directory.CreateDirectory(work);
            var built = Path.Combine(work, Path.GetFileName(Folder));
            new DotnetPublish(_sources, Path.Combine(work, "build"), built).Run(cancel);
            Complete(built);
            var packed = Path.Combine(work, "archive");
            Pack(built, packed, cancel);
            Directory.Move(built, Folder);
            File.Move(packed, Archive);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KoalaException($"--out {Folder}", $"cannot be written ({e.Message.TrimEnd('.')})", "name a folder that can be, on a disk with 400 MB to spare", e);
        }
        finally
        {
            if (Directory.Exists(work)) Directory.Delete(work, recursive: true);
        }
    }

    private void Complete(string built)
    {
        File.WriteAllText(Path.Combine(built, "README.txt"), Readme);
        File.Copy(Path.Combine(_sources, "LICENSE"), Path.Combine(built, "LICENSE"));
    }

    private static void Pack(string folder, string archive, CancellationToken cancel)
    {
        using var file = File.Create(archive);
        using var gzip = new GZipStream(file, CompressionLevel.SmallestSize);
        using var tar = new TarWriter(gzip, TarEntryFormat.Pax);
        foreach (var path in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            cancel.ThrowIfCancellationRequested();
            using var content = File.OpenRead(path);
            tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, $"{Path.GetFileName(folder)}/{Path.GetRelativePath(folder, path)}")
            {
                Mode = s_programs.Contains(Path.GetFileName(path)) ? Executable : Plain,
                ModificationTime = File.GetLastWriteTimeUtc(path),
                DataStream = content,
            });
        }
    }
}
