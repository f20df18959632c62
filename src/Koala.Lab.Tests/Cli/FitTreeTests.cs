using Koala.Lab.Drafting.Trees;
using Koala.Lab.Tests.Training;

namespace Koala.Lab.Tests.Cli;

public sealed class FitTreeTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_tree_is_fitted_printed_and_written()
    {
        string[] options = ["--max-tokens", "40", "--nodes", "10", "--dtype", "fp32", "--json"];
        var run = CommandRun.Of([.. Line("tree.json"), .. options]).AssertDone();
        var tree = StaticTree.Find(_folder.At("tree.json"));
        Assert.Equal(tree.Nodes, run.Json.GetProperty("tree").GetProperty("nodes").GetInt32());
        Assert.Equal(tree.Paths.Select(path => path.ToArray()),
            run.Json.GetProperty("paths")
                .EnumerateArray()
                .Select(path => path.EnumerateArray().Select(rank => rank.GetInt32()).ToArray()));
        Assert.Equal(("head", "speed", 3),
            (run.Json.GetProperty("head").GetString(), run.Json.GetProperty("by").GetString(),
                run.Json.GetProperty("prompts").GetInt32()));
        Assert.Equal("prompts.jsonl", run.Json.GetProperty("provenance").GetProperty("prompts").GetString());
        Assert.Contains("prompt 3/3", run.Error, StringComparison.Ordinal);

        var words = CommandRun.Of([.. Line("six.json"), "--max-tokens", "40", "--nodes", "6", "--by", "acceptance",
            "--dtype", "fp32", "--quiet"])
            .AssertDone();
        Assert.Equal(6, StaticTree.Find(_folder.At("six.json")).Nodes);
        Assert.Contains("best chain", words.Output, StringComparison.Ordinal);
        Assert.Contains("times the best chain", words.Output, StringComparison.Ordinal);
        Assert.Equal("", words.Error);
    }

    [Fact]
    public void Wrong_input_is_refused_in_one_line_and_nothing_is_written()
    {
        CommandRun.Of([.. Line("tree.json"), "--nodes", "0"]).AssertRefused("--nodes", "1 to 256");
        CommandRun.Of([.. Line("tree.json"), "--nodes", "many"]).AssertRefused("--nodes", "whole number");
        CommandRun.Of([.. Line("tree.json"), "--by", "sped"]).AssertRefused("--by", "did you mean speed");
        CommandRun.Of([.. Line("tree.json"), "--max-tokens", "0"]).AssertRefused("--max-tokens");
        CommandRun.Of([.. Line("tree.json"), "--max-tokens", "3", "--quiet"]).AssertRefused("the prompts", "--max-tokens");
        CommandRun.Of([.. Line("tree.json"), "--max-tokens", "12", "--nodes", "250", "--by", "acceptance", "--quiet"])
            .AssertRefused("--nodes", "ever correct");
        CommandRun.Of("fit-tree", "--target", ShippedModels.Folder("koala-nano"), "--prompts", Prompts(), "--out",
            _folder.At("tree.json"))
            .AssertRefused("--head", "is missing");
        CommandRun.Of("fit-tree", "--target", ShippedModels.Folder("koala-nano"), "--head", "prompt-lookup",
            "--prompts", Prompts(), "--quiet", "--out", _folder.At("tree.json"))
            .AssertRefused("no tree can be fitted");
        CommandRun.Of("fit-tree", "--target", ShippedModels.Folder("koala-nano"), "--head", Head(), "--prompts",
            Prompts())
            .AssertRefused("--out");
        Assert.False(File.Exists(_folder.At("tree.json")));
        File.WriteAllText(_folder.At("there.json"), "mine");
        CommandRun.Of(Line("there.json")).AssertRefused("there.json", "exists already");
        Assert.Equal("mine", File.ReadAllText(_folder.At("there.json")));
    }

    private string[] Line(string file) =>
        ["fit-tree", "--target", ShippedModels.Folder("koala-nano"), "--head", Head(), "--prompts", Prompts(),
            "--limit", "3", "--out", _folder.At(file)];

    private string Head()
    {
        var folder = _folder.At("head");
        if (Directory.Exists(folder)) return folder;
        using var head = TinyModels.Train(TinyModels.Options);
        head.Save(folder, "a head for a test");
        return folder;
    }

    private string Prompts()
    {
        var file = _folder.At("prompts.jsonl");
        File.WriteAllLines(file, Enumerable.Range(1, 5).Select(i => $$"""{"prompt":"Tell me {{i}} things about the sea."}"""));
        return file;
    }
}
