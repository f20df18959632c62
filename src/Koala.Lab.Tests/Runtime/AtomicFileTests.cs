using System.Diagnostics;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Tests.Runtime;

public sealed class AtomicFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Writes_the_file_and_makes_its_folders()
    {
        AtomicFile.WriteText(_folder.At("a", "b", "c.txt"), "é");
        Assert.Equal("é"u8.ToArray(), File.ReadAllBytes(_folder.At("a", "b", "c.txt")));
        Assert.Equal(["c.txt"], Names(_folder.At("a", "b")));
    }

    [Fact]
    public void Replaces_an_existing_file_completely()
    {
        AtomicFile.WriteText(_folder.At("a"), "a long old text");
        AtomicFile.WriteText(_folder.At("a"), "new");
        Assert.Equal("new", File.ReadAllText(_folder.At("a")));
    }

    [Fact]
    public void The_old_file_remains_until_the_new_one_is_complete()
    {
        var path = _folder.At("a");
        AtomicFile.WriteText(path, "old");
        AtomicFile.Write(path, stream =>
        {
            stream.Write("half"u8);
            stream.Flush();
            // A crash here would leave this file.
            Assert.Equal("old", File.ReadAllText(path));
        });
        Assert.Equal("half", File.ReadAllText(path));
    }

    [Fact]
    public void An_exception_in_the_writer_leaves_neither_the_temporary_nor_a_changed_file()
    {
        AtomicFile.WriteText(_folder.At("a"), "old");
        Assert.Throws<InvalidOperationException>(() => AtomicFile.Write(_folder.At("a"), stream =>
        {
            stream.Write("half"u8);
            throw new InvalidOperationException();
        }));
        Assert.Equal("old", File.ReadAllText(_folder.At("a")));
        Assert.Equal(["a"], Names(_folder.Path));
    }

    [Fact]
    public void Two_writes_of_one_file_at_once_do_not_break_each_other()
    {
        AtomicFile.Write(_folder.At("a"), outer =>
        {
            AtomicFile.WriteText(_folder.At("a"), "inner");
            outer.Write("outer"u8);
        });
        Assert.Equal("outer", File.ReadAllText(_folder.At("a")));
        Assert.Equal(["a"], Names(_folder.Path));
    }

    [Fact]
    public void What_a_killed_writer_left_of_the_same_file_is_removed_and_nothing_else()
    {
        // The process id is this process's own, which says nothing: ids are used again.
        string[] others = ["b.12-1.tmp", "a.tmp", "a.12.tmp", "a.x-1.tmp", "ca.12-1.tmp"];
        foreach (var name in (string[])["a.12-1.tmp", $"a.{Environment.ProcessId}-0.tmp", .. others])
            File.WriteAllText(_folder.At(name), "left");
        AtomicFile.WriteText(_folder.At("a"), "text");
        Assert.Equal(["a", .. others.Order(StringComparer.Ordinal)], Names(_folder.Path).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void The_temporary_file_of_a_writer_at_work_is_kept()
    {
        AtomicFile.Write(_folder.At("a"), stream =>
        {
            File.WriteAllText(_folder.At("b.12-1.tmp"), "left");
            AtomicFile.RemoveAbandoned(_folder.Path);
            Assert.Single(Names(_folder.Path));
            stream.Write("text"u8);
        });
        Assert.Equal("text", File.ReadAllText(_folder.At("a")));
        Assert.Equal(["a"], Names(_folder.Path));
    }

    [Fact]
    public void A_folder_that_cannot_be_created_is_one_error()
    {
        File.WriteAllText(_folder.At("file"), "");
        var e = Assert.Throws<KoalaException>(() => AtomicFile.WriteText(_folder.At("file", "a"), "text"));
        Assert.Equal(_folder.At("file", "a"), e.Where);
    }

    [Fact]
    public void A_folder_that_cannot_be_written_is_one_error()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "only Linux has a folder that nobody may write");
        Assert.Throws<KoalaException>(() => AtomicFile.WriteText("/proc/self/a", "text"));
        Assert.Throws<KoalaException>(() => AtomicFile.WriteText("/sys/kernel/a/b", "text"));
    }

    [Fact]
    public void A_folder_where_a_file_is_expected_is_one_error_and_leaves_no_temporary()
    {
        Directory.CreateDirectory(_folder.At("a"));
        Assert.Throws<KoalaException>(() => AtomicFile.WriteText(_folder.At("a"), "text"));
        Assert.Equal(["a"], Names(_folder.Path));
    }

    [Fact]
    public void A_full_disk_is_one_error_and_leaves_the_old_file()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess,
            "a small disk can be mounted by root on Linux only");
        Assert.SkipUnless(Run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", _folder.Path) == 0,
            "this system lets nothing be mounted");
        try
        {
            var path = _folder.At("a");
            AtomicFile.WriteText(path, "old");
            Assert.Throws<KoalaException>(() => AtomicFile.Write(path, stream => stream.Write(new byte[1 << 20])));
            Assert.Equal("old", File.ReadAllText(path));
            Assert.Equal(["a"], Names(_folder.Path));
        }
        finally
        {
            Run("umount", _folder.Path);
        }
    }

    private static IEnumerable<string?> Names(string folder) =>
        Directory.EnumerateFileSystemEntries(folder).Select(Path.GetFileName);

    private static int Run(string command, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(command, arguments) { RedirectStandardError = true })!;
        process.WaitForExit();
        return process.ExitCode;
    }
}
