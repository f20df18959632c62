using System.Text.RegularExpressions;

namespace Koala.Kernel.Tests.Notebooks;

/// <summary>The notebook that a newcomer runs first, with less training.</summary>
public sealed partial class QuickstartTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void It_trains_a_head_and_shows_every_chart()
    {
        var page = _folder.At("quickstart.html");
        var notebook = TestFiles.At("notebooks", "01-quickstart.ipynb");
        var run = CommandRun.Of("run", notebook, "--html", page, "-p", "steps=10", "-p", "prompts=2");

        Assert.True(run.ExitCode == 0, run.Error);
        var html = File.ReadAllText(page);
        Assert.Contains("The answer is the target&#39;s own, token by token.", html, StringComparison.Ordinal);
        Assert.Contains("lossless", html, StringComparison.Ordinal);
        Assert.Equal(8, Figures().Count(html));
        Assert.DoesNotContain("class=\"error\"", html, StringComparison.Ordinal);
    }

    [Fact]
    public void It_is_committed_with_its_outputs_and_stays_small()
    {
        var notebook = File.ReadAllText(TestFiles.At("notebooks", "01-quickstart.ipynb"));
        Assert.InRange(notebook.Length, 20_000, 1_000_000);
        Assert.Equal(8, Figures().Count(notebook.Replace("\\\"", "\"", StringComparison.Ordinal)));
        Assert.DoesNotContain("\"output_type\": \"error\"", notebook, StringComparison.Ordinal);
        Assert.Contains(".net-csharp", notebook, StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();

    [GeneratedRegex("<div class=\"koala-figure\"")]
    private static partial Regex Figures();
}
