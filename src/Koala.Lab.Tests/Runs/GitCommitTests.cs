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
    public void A_repository_without_a_commit_has_none() => Assert.Null(GitCommit.Parse("# branch.oid (initial)\n# branch.head main\n"));

    [Fact]
    public void A_folder_outside_any_repository_has_none()
    {
        using var folder = new TemporaryFolder();
        Assert.Null(GitCommit.Of(folder.Path));
        Assert.Null(GitCommit.Of(folder.At("none")));
    }
}
