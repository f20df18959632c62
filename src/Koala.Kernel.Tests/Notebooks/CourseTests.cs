using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Koala.Kernel.Notebooks;

namespace Koala.Kernel.Tests.Notebooks;

/// <summary>Every notebook of the repository, run with parameters that make it short, and as it is committed.</summary>
public sealed partial class CourseTests : IDisposable
{
    private const string Nano = "../checkpoints/koala-nano";
    private const string SmallChats = "../data/chats-validation.jsonl.gz";
    private const long LargestNotebook = 180_000;
    private const long LargestCourse = 1_100_000;

    // A notebook without an entry fails a test. The small file of chats needs no validation file and is tokenized quickly.
    private static readonly Dictionary<string, string[]> s_short = new()
    {
        ["01-quickstart"] = ["steps=10", "prompts=2"],
        ["02-how-speculative-decoding-works"] = [$"targetFolder={Nano}", $"headFolder={Nano}-eagle-k2", "tokens=24", "prompts=3"],
        ["03-training-a-head"] = [$"dataFile={SmallChats}", "chats=200", "steps=4", "prompts=2"],
        ["04-ablation-over-k"] = [$"dataFile={SmallChats}", "chats=150", "layers=1-2", "seeds=0-0", "steps=3", "prompts=2"],
        ["05-inference-speedups"] = [$"targetFolder={Nano}", $"headFolder={Nano}-eagle-k2", "prompts=2", "tokens=16"],
        ["06-adversary"] = [$"dataFile={SmallChats}", "chats=150", "steps=6", "seeds=1", "prompts=3"],
        ["07-trees-and-sampling"] = ["draws=50", "prompts=2"],
        ["08-compare-and-gate"] = [$"dataFile={SmallChats}", "steps=3", "seeds=1", "prompts=10"],
        ["09-reproduce-the-paper"] =
            [$"targetFolder={Nano}", $"headK1={Nano}-eagle-k1", $"headK2={Nano}-eagle-k2", "prompts=3", "tokens=24"],
    };

    private readonly TemporaryFolder _folder = new();

    /// <summary>The names of the notebooks, without the ending.</summary>
    public static TheoryData<string> Names => [.. s_short.Keys];

    [Fact]
    public void Every_notebook_is_tested_and_is_in_the_table_of_the_folder()
    {
        var names = Directory.GetFiles(TestFiles.At("notebooks"), "*.ipynb").Select(file => Path.GetFileNameWithoutExtension(file)).Order();
        Assert.Equal(names, s_short.Keys.Order());

        var readMe = File.ReadAllText(TestFiles.At("notebooks", "README.md"));
        Assert.All(names, name => Assert.Contains($"({name}.ipynb)", readMe, StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void It_runs_with_every_figure_and_leaves_no_file(string name)
    {
        var temporary = Directory.CreateDirectory(_folder.At("temporary")).FullName;
        var before = Environment.GetEnvironmentVariable("TMPDIR");
        var executed = _folder.At("executed.ipynb");
        string[] parameters = [.. s_short[name].SelectMany(parameter => (string[])["-p", parameter])];
        // The kernel inherits it.
        Environment.SetEnvironmentVariable("TMPDIR", temporary);
        CommandRun run;
        try
        {
            run = CommandRun.Of(["run", PathOf(name), "--output", executed, .. parameters]);
        }
        finally
        {
            Environment.SetEnvironmentVariable("TMPDIR", before);
        }

        Assert.True(run.ExitCode == 0, run.Error);
        Assert.Equal(FiguresInCode(executed), Figures(executed));
        var texts = Texts(executed);
        Assert.DoesNotContain("NaN", texts, StringComparison.Ordinal);
        // What the notebooks print if an answer with a head is not the target's own.
        Assert.DoesNotContain("the same text: False", texts, StringComparison.Ordinal);
        Assert.DoesNotContain("The answers differ!", texts, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFiles(temporary, "*.jsonl", SearchOption.AllDirectories));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void It_is_committed_with_all_of_its_outputs_or_none_and_stays_small(string name)
    {
        var text = File.ReadAllText(PathOf(name));
        Assert.InRange(text.Length, 0, LargestNotebook);
        Assert.Equal(Outputs(PathOf(name)).Any() ? FiguresInCode(PathOf(name)) : 0, Figures(PathOf(name)));
        Assert.DoesNotContain("\"output_type\": \"error\"", text, StringComparison.Ordinal);
        Assert.DoesNotContain("injected-parameters", text, StringComparison.Ordinal);
        Assert.Contains(".net-csharp", text, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void It_is_committed_as_a_run_writes_it_with_each_figure_in_one_line(string name)
    {
        var committed = File.ReadAllText(PathOf(name));
        using var written = new MemoryStream();
        Notebook.Read(PathOf(name)).WriteTo(written);
        Assert.Equal(committed, Encoding.UTF8.GetString(written.ToArray()));
        var figures = committed.Split('\n').Where(line => line.Contains("\"application/vnd.plotly.v1+json\": {", StringComparison.Ordinal));
        Assert.All(figures, line => Assert.EndsWith("}", line.TrimEnd(','), StringComparison.Ordinal));
    }

    [Fact]
    public void All_notebooks_together_stay_small() =>
        Assert.InRange(s_short.Keys.Sum(name => new FileInfo(PathOf(name)).Length), 0, LargestCourse);

    /// <summary>The path of a notebook of the repository.</summary>
    internal static string PathOf(string name) => TestFiles.At("notebooks", $"{name}.ipynb");

    /// <summary>The number of figures in the outputs of a notebook.</summary>
    internal static int Figures(string notebook) => Outputs(notebook)
        .Count(output => Joined(output["data"]?["text/html"]).Contains("class=\"koala-figure\"", StringComparison.Ordinal));

    public void Dispose() => _folder.Dispose();

    private static int FiguresInCode(string notebook) => Code(notebook).Sum(cell => FigureInCode().Count(Joined(cell["source"])));

    private static string Texts(string notebook) =>
        string.Join('\n', Outputs(notebook).Select(output => Joined(output["text"]) + Joined(output["data"]?["text/plain"])));

    private static IEnumerable<JsonNode> Outputs(string notebook) =>
        Code(notebook).SelectMany(cell => cell["outputs"]!.AsArray()).Select(output => output!);

    private static IEnumerable<JsonNode> Code(string notebook) => JsonNode.Parse(File.ReadAllText(notebook))!["cells"]!.AsArray()
        .Select(cell => cell!).Where(cell => cell["cell_type"]!.ToString() == "code");

    private static string Joined(JsonNode? lines) => lines is JsonArray parts ? string.Concat(parts) : lines?.ToString() ?? "";

    [GeneratedRegex(@"\bChart\.")]
    private static partial Regex FigureInCode();
}
