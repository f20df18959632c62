using System.Text.Json.Nodes;
using Koala.Cli;
using Koala.Cli.Output;
using Koala.Lab.Sweeps;
using Koala.Lab.Tests.Sweeps;

namespace Koala.Lab.Tests.Cli;

/// <summary>The command <c>koala sweep</c>: a plan in a file or as options, in one process or several, interrupted and continued.</summary>
public sealed class SweepTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_plan_as_options_is_the_plan_of_a_file()
    {
        var fields = SamplePlan.Fields(_folder).WithEvaluation()
            .With("grid", """
                {
                  "layers": [1, 2], "adversary.weight": [0, 0.1], "seed": [0, 1, 2],
                  "losses": [
                    [{"name": "kl", "weight": 0.5, "decay": 0.8}, {"name": "cross-entropy", "weight": 1, "decay": 1}],
                    [{"name": "kl", "weight": 1, "decay": 1}]
                  ]
                }
                """);
        fields["evaluate"]!["stop"] = new JsonArray("1", "b");   // a text that looks like a number
        fields["evaluate"]!["allTurns"] = true;
        var folder = _folder.At("sweep");
        Sweep.CreateOrLoad(folder, fields.Read());
        var chats = _folder.At("few.jsonl");
        string[] options = ["sweep", "--target", ShippedModels.Folder("koala-nano"), "--threads", "1", "--data", chats,
            "--validation", chats, "--steps", "6", "--save-every", "2", "--validate-every", "3", "--row-length", "64",
            "--medusa-heads", "2", "--layers", "1,2", "--adversary-weight", "0,0.1", "--seeds", "0-2",
            "--loss", "kl=0.5@0.8+cross-entropy,kl", "--evaluate-prompts", TestFiles.At("data", "mt-bench.jsonl"),
            "--evaluate-limit", "12", "--evaluate-max-tokens", "6", "--evaluate-draft-length", "2", "--evaluate-stop", "1+b",
            "--evaluate-all-turns", "true", "--out", folder];
        // The folder accepts it, so that the shard with no cell of its own does nothing.
        CommandRun.Of([.. options, "--shard", "99/99"]).AssertDone();
        CommandRun.Of([.. options, "--steps", "7"]).AssertRefused("--steps");
    }

    [Fact]
    public void A_sweep_writes_its_summary_and_is_interrupted_and_continued()
    {
        var plan = Plan("""{"layers": [1, 2], "seed": [0, 1]}""");
        var stopped = CommandRun.Interrupted("cell layers-1_seed-0 finished", "sweep", plan, "--out", _folder.At("sweep"));
        Assert.Equal(130, stopped.ExitCode);
        Assert.EndsWith($"Go on with: koala sweep {plan} --out {_folder.At("sweep")}\n", stopped.Error, StringComparison.Ordinal);
        var whole = CommandRun.Of("sweep", "--out", _folder.At("sweep"), "--json").AssertDone();
        Assert.Equal(4, whole.Json.GetProperty("finished").GetInt32());
        Assert.Equal(["figures.html", "summary.csv", "summary.json", "summary.md", "summary.tex", "sweep.json"],
            Directory.GetFiles(_folder.At("sweep")).Select(Path.GetFileName).Where(name => name != "lock").Order());
        Assert.Equal(whole.Output, File.ReadAllText(_folder.At("sweep", "summary.json")));

        // The same command shows the summary again.
        var again = CommandRun.Of("sweep", plan, "--out", _folder.At("sweep"), "--quiet").AssertDone();
        Assert.Equal("", again.Error);
        Assert.Equal(File.ReadAllText(_folder.At("sweep", "summary.md")), again.Output);
    }

    [Fact]
    public void Shards_do_their_own_cells_only()
    {
        var plan = Plan("""{"seed": [0, 1, 2]}""");
        CommandRun.Of("sweep", plan, "--out", _folder.At("sweep"), "--shard", "2/2", "--quiet").AssertDone();
        var status = Sweep.Load(_folder.At("sweep")).ReadStatus();
        Assert.Equal([CellState.Waiting, CellState.Finished, CellState.Waiting], status.Select(cell => cell.State));
    }

    [Fact]
    public void A_live_table_shows_the_cells_on_a_terminal()
    {
        var plan = Plan("""{"seed": [0, 1]}""");
        var run = CommandRun.InTerminal(100, Spectre.Console.ColorSystemSupport.NoColors, "sweep", plan, "--out", _folder.At("sweep"));
        Assert.Contains("2 of 2 cells finished", run.AssertDone().Error, StringComparison.Ordinal);
        Assert.Contains("seed-1", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_line_can_be_written_while_the_table_is_drawn()
    {
        var sweep = Sweep.CreateOrLoad(_folder.At("sweep"), SamplePlan.Fields(_folder).Read());
        using var error = new StringWriter();
        var streams = new Streams(TextWriter.Null, error, TextReader.Null, default)
        {
            ConsoleOf = writer => CommandRun.Terminal(writer, 100),
        };
        var cancel = TestContext.Current.CancellationToken;
        // The first table is drawn at the start of each run, at the same time as the lines are written.
        await Task.Run(() =>
        {
            for (var run = 0; run < 30; run++)
            {
                var progress = new SweepProgressText(sweep, streams);
                progress.Run(quiet: false, () =>
                {
                    for (var line = 0; line < 50; line++) progress.Write("a line");
                });
            }
        }, cancel).WaitAsync(TimeSpan.FromMinutes(1), cancel);
        Assert.Contains("0 of ", error.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("PLAN", "is missing")]
    [InlineData("--devices", "names GPU 0, but this machine has", "--devices", "0", "--layers", "1,2", "--target", "x", "--data", "y")]
    [InlineData("--devices", "numbers of GPUs are expected", "--devices", "one", "--layers", "1,2", "--target", "x", "--data", "y")]
    [InlineData("--devices", "names GPU 1, but this machine has", "--devices", "1,1", "--layers", "1,2", "--target", "x", "--data", "y")]
    [InlineData("--processes", "1 to 256", "--processes", "257", "--device", "cuda", "--target", "x", "--data", "y")]
    [InlineData("--processes", "1 to 256", "--processes", "0", "--target", "x", "--data", "y")]
    [InlineData("--shard", "no part of a whole", "--shard", "3/2", "--target", "x", "--data", "y")]
    [InlineData("--layers", "is \"two\", but a whole number is expected", "--layers", "two", "--target", "x", "--data", "y")]
    [InlineData("--layers", "a head has 1 to 16 layers", "--layers", "0,1", "--target", "x", "--data", "y")]
    [InlineData("--evaluate-draft-length", "is missing", "--evaluate-prompts", "x", "--target", "x", "--data", "y")]
    [InlineData("--target", "is missing", "--layers", "1,2")]
    [InlineData("--data", "is missing", "--layers", "1,2", "--target", "x")]
    [InlineData("unknown option --leyers", "did you mean --layers?", "--leyers", "1,2")]
    public void What_is_wrong_is_refused_in_one_line(string where, string fault, params string[] options)
    {
        if (where == "--devices" && Koala.Lab.Runtime.Devices.CudaCount > 0) Assert.Skip("This machine has a GPU.");
        CommandRun.Of(["sweep", .. options]).AssertRefused(where, fault);
    }

    [Fact]
    public void A_device_that_is_not_there_is_refused_before_anything_is_trained()
    {
        if (Koala.Lab.Runtime.Devices.CudaCount > 0) Assert.Skip("This machine has a GPU.");
        var fields = SamplePlan.Fields(_folder).With("device", "\"cuda\"");
        File.WriteAllText(_folder.At("plan.json"), fields.ToJsonString());
        CommandRun.Of("sweep", _folder.At("plan.json"), "--out", _folder.At("sweep"), "--quiet").AssertRefused("--device", "cuda");
        Assert.False(Directory.Exists(_folder.At("sweep")));
    }

    [Fact]
    public void Another_sweep_in_the_same_folder_is_refused_and_changes_nothing()
    {
        Sweep.CreateOrLoad(_folder.At("sweep"), SamplePlan.Fields(_folder).With("grid", """{"layers": [1, 2]}""").Read());
        var before = File.ReadAllText(_folder.At("sweep", "sweep.json"));
        File.WriteAllText(_folder.At("plan.json"), SamplePlan.Fields(_folder).With("grid", """{"layers": [1, 3]}""").ToJsonString());
        CommandRun.Of("sweep", _folder.At("plan.json"), "--out", _folder.At("sweep"), "--quiet")
            .AssertRefused(_folder.At("sweep"), "layers is 1, 3 here and 1, 2 there");
        Assert.Equal(before, File.ReadAllText(_folder.At("sweep", "sweep.json")));
        Assert.False(Directory.Exists(_folder.At("sweep", "cells")));
    }

    [Theory]
    [InlineData("target", "checkpoints/koala-nono")]
    [InlineData("base.data", "nothing.jsonl")]
    [InlineData("evaluate.prompts", "nothing.jsonl")]
    public void A_file_that_is_not_there_leaves_no_folder_behind(string key, string value)
    {
        var fields = SamplePlan.Fields(_folder).WithEvaluation();
        var path = key.Split('.');
        (path.Length == 1 ? fields : fields[path[0]]!)[path[^1]] = value;
        File.WriteAllText(_folder.At("plan.json"), fields.ToJsonString());
        CommandRun.Of("sweep", _folder.At("plan.json"), "--out", _folder.At("sweep"), "--quiet").AssertRefused(value);
        Assert.False(Directory.Exists(_folder.At("sweep")));
    }

    [Theory]
    [InlineData("2/4", "", 2, 4)]
    [InlineData(null, "SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=3 SLURM_ARRAY_TASK_STEP=2", 3, 3)]
    [InlineData(null, "SLURM_ARRAY_TASK_ID=0 SLURM_ARRAY_TASK_COUNT=8 RANK=1 WORLD_SIZE=2", 1, 8)]
    [InlineData(null, "RANK=1 WORLD_SIZE=2", 2, 2)]
    public void A_shard_comes_from_the_option_or_from_a_scheduler(string? given, string environment, int index, int count)
    {
        var variables = environment.Split(' ').Select(pair => pair.Split('=')).Where(pair => pair.Length == 2)
            .ToDictionary(pair => pair[0], pair => pair[1]);
        var shard = Koala.Cli.Options.Shard.Find(given, variables.GetValueOrDefault)!;
        Assert.Equal((index, count), (shard.Index, shard.Count));
        Assert.Equal(Enumerable.Range(0, 20).Where(i => i % count == index - 1), shard.Of([.. Enumerable.Range(0, 20)]));
    }

    [Fact]
    public void Without_a_scheduler_there_is_no_shard() => Assert.Null(Koala.Cli.Options.Shard.Find(null, _ => null));

    private string Plan(string grid)
    {
        var plan = _folder.At("plan.json");
        File.WriteAllText(plan, SamplePlan.Fields(_folder).With("grid", grid).ToJsonString());
        return plan;
    }
}
