using System.Formats.Tar;
using System.IO.Compression;
using Koala.Lab;

namespace Koala.Cli.Bundling;

/// <summary>
/// The command and the .NET runtime in one folder, for a machine with PyTorch but no .NET. The bundle contains no
/// libtorch; it uses PyTorch's.
/// </summary>
internal sealed class Bundle
{
    private const string Readme = """
        Koala for a machine with PyTorch and no .NET (Linux x64).

        Tell Koala where PyTorch's libraries are, which it uses, and check that everything works:

            export KOALA_LIBTORCH=$(python3 -c 'import os, torch; print(os.path.join(os.path.dirname(torch.__file__), "lib"))')
            ./koala doctor

        Then use it as in a clone, with --device cuda for the GPU:

            ./koala generate --target FOLDER_OR_GGUF --device cuda --prompt 'Why is the sky blue?'
            ./koala --help

        """;

    // Everybody may run the programs, whatever modes the files have in the packages.
    private const UnixFileMode Executable = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
        | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    private const UnixFileMode NotExecutable = UnixFileMode.UserRead | UnixFileMode.UserWrite
        | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    private static readonly string[] s_programs = ["koala", "createdump"];

    private readonly string _sources;

    /// <param name="start">A folder in the clone.</param>
    /// <param name="folder">The folder of the bundle. Neither it nor the archive beside it may exist yet.</param>
    /// <exception cref="KoalaException">
    /// <paramref name="start"/> is not in a clone of the project, or the folder or the archive exists.
    /// </exception>
    public Bundle(string start, string folder)
    {
        _sources = Clone.Find(start, "bundle", "is made from the project's sources");
        Folder = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        foreach (var path in (string[])[Folder, Archive])
        {
            if (Path.Exists(path)) throw new KoalaException($"--out {path}", "exists already", "name another folder, or delete it");
        }
    }

    /// <summary>The full path of the folder.</summary>
    public string Folder { get; }

    /// <summary>The full path of the archive of the folder.</summary>
    public string Archive => Folder + ".tar.gz";

    /// <summary>Builds the folder and the archive. Afterwards each of them is complete or absent.</summary>
    /// <param name="cancel">Cancels the build.</param>
    /// <exception cref="KoalaException">The folder or the archive cannot be written, or the build failed.</exception>
    public void Write(CancellationToken cancel)
    {
        // The working folder is beside the final one, so that the results can be renamed into place.
        var work = Folder + ".partial";
        try
        {
            Directory.CreateDirectory(work);
            var built = Path.Combine(work, Path.GetFileName(Folder));
            new DotnetPublish(_sources, Path.Combine(work, "build"), built).Run(cancel);
            AddTexts(built);
            var packed = Path.Combine(work, "archive");
            Pack(built, packed, cancel);
            Directory.Move(built, Folder);
            File.Move(packed, Archive);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KoalaException($"--out {Folder}", $"cannot be written ({e.Message.TrimEnd('.')})",
                "name a folder that can be written, on a disk with 400 MB free", e);
        }
        finally
        {
            if (Directory.Exists(work)) Directory.Delete(work, recursive: true);
        }
    }

    private void AddTexts(string built)
    {
        File.WriteAllText(Path.Combine(built, "README.txt"), Readme);
        File.Copy(Path.Combine(_sources, "LICENSE"), Path.Combine(built, "LICENSE"));
    }

    private static void Pack(string folder, string archive, CancellationToken cancel)
    {
        using var file = File.Create(archive);
        using var gzip = new GZipStream(file, CompressionLevel.SmallestSize);
        using var tar = new TarWriter(gzip, TarEntryFormat.Pax);
        var paths = Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories);
        foreach (var path in paths.Order(StringComparer.Ordinal))
        {
            cancel.ThrowIfCancellationRequested();
            using var content = File.OpenRead(path);
            var name = $"{Path.GetFileName(folder)}/{Path.GetRelativePath(folder, path)}";
            tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, name)
            {
                Mode = s_programs.Contains(Path.GetFileName(path)) ? Executable : NotExecutable,
                ModificationTime = File.GetLastWriteTimeUtc(path),
                DataStream = content,
            });
        }
    }
}
