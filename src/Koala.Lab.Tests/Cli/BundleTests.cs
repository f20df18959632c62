using System.Diagnostics;
using System.Formats.Tar;
using System.IO.Compression;
using Koala.Cli.Bundling;
using Koala.Lab.Runtime.Native;

namespace Koala.Lab.Tests.Cli;

/// <summary>
/// The bundle as another machine receives it: built once, unpacked from its archive, run without .NET or a package
/// cache.
/// </summary>
public sealed class BundleTests(BundleTests.Built built) : IClassFixture<BundleTests.Built>
{
    [Fact]
    public void It_stays_small_and_brings_no_libtorch()
    {
        Assert.InRange(built.Files.Sum(f => f.Length), 1, 100_000_000);
        Assert.InRange(new FileInfo(built.Archive).Length, 1, 48_000_000);
        Assert.DoesNotContain(built.Files,
            f => f.Name.StartsWith("libtorch", StringComparison.Ordinal)
                || f.Name.StartsWith("libc10", StringComparison.Ordinal));
        Assert.Contains(built.Files, f => f.Name == "README.txt");
        Assert.Contains(built.Files, f => f.Name == "LICENSE");
    }

    [Fact]
    public void It_holds_no_path_of_the_machine_that_built_it() =>
        Assert.DoesNotContain(built.Files,
            f => Holds(f, System.Text.Encoding.Unicode)
                || f.Name.StartsWith("Koala", StringComparison.OrdinalIgnoreCase) && Holds(f, System.Text.Encoding.UTF8));

    private static bool Holds(FileInfo file, System.Text.Encoding encoding) =>
        File.ReadAllBytes(file.FullName).AsSpan().IndexOf(encoding.GetBytes(TestFiles.Root)) >= 0;

    [Fact]
    public void Without_a_libtorch_it_says_how_to_name_one()
    {
        var run = built.Run(null, "generate", "--target", TestFiles.At("checkpoints", "koala-nano"), "--prompt", "Hi");
        Assert.Equal(2, run.ExitCode);
        Assert.Single(run.Error.TrimEnd().Split('\n'));
        Assert.Contains("import os, torch", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void With_one_it_answers_as_the_project_does()
    {
        string[] args = ["generate", "--target", TestFiles.At("checkpoints", "koala-nano"), "--prompt",
            "Why is the sky blue?", "--max-tokens", "24"];
        var run = built.Run(LibTorch.Folder, args);
        Assert.True(run.ExitCode == 0, run.Error);
        Assert.Equal(CommandRun.Of(args).AssertDone().Output, run.Output);
    }

    [Fact]
    public void A_folder_that_exists_is_refused() =>
        CommandRun.Of("bundle", "--out", built.Folder).AssertRefused("exists already", built.Folder);

    [Fact]
    public void Outside_a_clone_it_is_refused()
    {
        var fault = Assert.Throws<KoalaException>(() =>
            new Bundle(Path.GetTempPath(), Path.Combine(Path.GetTempPath(), "koala-bundle")));
        Assert.Contains("in a clone", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_interrupted_build_leaves_nothing()
    {
        var parent = Directory.CreateTempSubdirectory("koala-bundle-").FullName;
        var run = CommandRun.Interrupted("building", "bundle", "--out", Path.Combine(parent, "bundle"));
        Assert.Equal(130, run.ExitCode);
        Assert.Empty(Directory.EnumerateFileSystemEntries(parent));
        Directory.Delete(parent);
    }

    public sealed class Built : IDisposable
    {
        private readonly string _parent = Directory.CreateTempSubdirectory("koala-bundle-").FullName;

        public Built()
        {
            CommandRun.Of("bundle", "--quiet", "--out", Path.Combine(_parent, "built")).AssertDone();
            using var gzip = new GZipStream(File.OpenRead(Archive), CompressionMode.Decompress);
            TarFile.ExtractToDirectory(gzip, Directory.CreateDirectory(Path.Combine(_parent, "unpacked")).FullName,
                overwriteFiles: false);
        }

        public string Archive => Path.Combine(_parent, "built.tar.gz");

        /// <summary>The unpacked folder.</summary>
        public string Folder => Path.Combine(_parent, "unpacked", "built");

        public IReadOnlyList<FileInfo> Files => [.. new DirectoryInfo(Folder).EnumerateFiles()];

        internal CommandRun Run(string? libtorch, params string[] args)
        {
            var start = new ProcessStartInfo(Path.Combine(Folder, "koala"), args)
            {
                RedirectStandardOutput = true, RedirectStandardError = true,
            };
            start.Environment.Clear();
            start.Environment["HOME"] = _parent;
            if (libtorch is not null) start.Environment[LibTorch.FolderVariable] = libtorch;
            using var process = Process.Start(start)!;
            var error = process.StandardError.ReadToEndAsync();
            var output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return new CommandRun(process.ExitCode, output.ReplaceLineEndings("\n"), error.Result);
        }

        public void Dispose() => Directory.Delete(_parent, recursive: true);
    }
}
