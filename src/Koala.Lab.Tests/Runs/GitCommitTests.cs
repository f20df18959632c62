using System.ComponentModel;
using System.Diagnostics;
using Koala.Lab.Runs;

namespace Koala.Lab.Tests.Runs;

public sealed class GitCommitTests
{
    [Fact]
    public void Only_lines_of_the_header_mean_a_clean_tree()
    {
        const string Header = "# branch.oid 0123abcd\n# branch.head main\n";
        Assert.Equal(new GitCommit("0123abcd", Clean: true), GitCommit.Parse(Header));
        Assert.Equal(new GitCommit("0123abcd", Clean: false), GitCommit.Parse(Header + "? new.txt\n"));
    }

    [Fact]
    public void A_bundle_reports_the_commit_it_was_built_from()
    {
        Assert.Null(GitCommit.BuiltFrom([new("LibTorchVersion", "1")]));
        Assert.Equal(new GitCommit("0123abcd", Clean: true), GitCommit.BuiltFrom([new("BuiltFrom", "0123abcd")]));
        Assert.Equal(new GitCommit("0123abcd", Clean: false), GitCommit.BuiltFrom([new("BuiltFrom", "0123abcd+")]));
    }

    [Fact]
    public void A_repository_without_a_commit_has_none() =>
        Assert.Null(GitCommit.Parse("# branch.oid (initial)\n# branch.head main\n"));

    [Fact]
    public void A_new_file_makes_a_clean_tree_unclean()
    {
        using var folder = new TemporaryFolder();
        Assert.SkipUnless(Git(folder, "init", "-q") == 0, "this system has no git");
        Assert.Null(GitCommit.Read(folder.Path));
        Assert.Equal(0,
            Git(folder, "-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false", "commit",
                "-q", "--allow-empty", "-m", "a"));
        var clean = GitCommit.Read(folder.Path);
        Assert.True(clean!.Clean);
        Assert.Equal(40, clean.Hash.Length);
        File.WriteAllText(folder.At("new"), "");
        Assert.Equal(clean with { Clean = false }, GitCommit.Read(folder.Path));
    }

    [Fact]
    public void A_folder_outside_any_repository_has_none()
    {
        using var folder = new TemporaryFolder();
        Assert.Null(GitCommit.Read(folder.Path));
        Assert.Null(GitCommit.Read(folder.At("none")));
    }

    private static int Git(TemporaryFolder folder, params string[] arguments)
    {
        try
        {
            using var git = Process.Start(new ProcessStartInfo("git", arguments) { WorkingDirectory = folder.Path })!;
            git.WaitForExit();
            return git.ExitCode;
        }
        catch (Win32Exception)
        {
            return -1;
        }
    }
}
