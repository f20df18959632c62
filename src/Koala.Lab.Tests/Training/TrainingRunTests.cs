using System.Text.Json.Nodes;
using Koala.Lab.Heads;
using Koala.Lab.Runs;
using Koala.Lab.Training;
using TorchSharp;

namespace Koala.Lab.Tests.Training;

/// <summary>Runs that are interrupted, killed and resumed end like an uninterrupted one.</summary>
public sealed class TrainingRunTests(TrainingRunTests.Uninterrupted uninterrupted) : IClassFixture<TrainingRunTests.Uninterrupted>
{
    [Fact]
    public void A_finished_run_holds_record_metrics_states_and_head()
    {
        var record = uninterrupted.Plain.Folder.ReadRecord();
        Assert.Equal((RunState.Finished, "train", null), (record.State, record.Kind, record.Failure));
        Assert.NotNull(record.Ended);
        Assert.Equal(5, record.Seeds["training"]);
        TinyRun.AssertSame(TinyRun.Plan, TrainingRun.PlanOf(uninterrupted.Plain.Folder));
        Assert.Equal(["step-12", "step-8"],
            Directory.GetDirectories(uninterrupted.Plain.Folder.CheckpointsFolder).Select(Path.GetFileName).Order());
        using var head = DraftHead.Load(uninterrupted.Plain.Folder.HeadFolder, ShippedModels.Nano);
        using var trained = TinyModels.Train(TinyModels.Options);
        TinyModels.AssertSame(trained, head);
        Assert.Contains("K = 1", File.ReadAllText(Path.Combine(uninterrupted.Plain.Folder.HeadFolder, "card.md")),
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(11)]
    public void Interrupted_and_resumed_it_ends_the_same(int step)
    {
        using var run = new TinyRun();
        run.Interrupt(step);
        Assert.Equal(RunState.Interrupted, run.State);
        Assert.Equal(step, MetricsLog.Read(run.Folder.MetricsFile)[^1].Step);
        Assert.False(Directory.Exists(run.Folder.HeadFolder));
        TinyRun.AssertSame(TinyRun.Plan, TrainingRun.PlanToResume(run.Folder));
        run.Resume();
        TinyRun.AssertSame(uninterrupted.Plain.Folder, run.Folder);
    }

    [Fact]
    public void Interrupted_before_its_first_step_and_twice_it_ends_the_same()
    {
        using var run = new TinyRun();
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        Assert.Throws<OperationCanceledException>(() => run.Start(cancel: stop.Token));
        Assert.Throws<OperationCanceledException>(() => run.Resume(cancel: stop.Token));
        Assert.Equal(RunState.Interrupted, run.State);
        run.Resume();
        TinyRun.AssertSame(uninterrupted.Plain.Folder, run.Folder);
    }

    [Theory]
    [InlineData(2, "")]
    [InlineData(7, "")]
    [InlineData(7, """{"step":8,"lo""")]
    [InlineData(10, "\0\0\0")]
    public void Killed_with_metrics_beyond_its_last_state_it_ends_the_same(int step, string torn)
    {
        using var run = new TinyRun();
        TinyRun? killed = null;
        run.Start(progress: progress =>
        {
            if (progress.Metrics.Step == step) killed = run.Killed();
        });
        using (killed)
        {
            Assert.Equal(RunState.Died, killed!.State);
            File.AppendAllText(killed.Folder.MetricsFile, torn);
            killed.Resume();
            TinyRun.AssertSame(uninterrupted.Plain.Folder, killed.Folder);
        }
    }

    [Fact]
    public void A_run_whose_record_has_its_fields_in_an_earlier_order_is_resumed()
    {
        using var run = new TinyRun();
        run.Interrupt(5);
        var (record, options) = (run.Folder.ReadRecord(), new JsonObject());
        string[] earlier =
            ["target", "data", "validation", "head", "training", "dtype", "device", "threads", "withControls",
                "targetIdentity", "dataHash"];
        foreach (var name in earlier) options[name] = record.Options[name]?.DeepClone();
        Assert.Equal(record.Options.AsObject().Select(field => field.Key).Order(), earlier.Order());
        run.Folder.WriteRecord(record with { Options = options });
        run.Resume();
        TinyRun.AssertSame(uninterrupted.Plain.Folder, run.Folder);
    }

    [Theory]
    [InlineData("target")]
    [InlineData("dtype")]
    [InlineData("device")]
    [InlineData("threads")]
    [InlineData("targetIdentity")]
    [InlineData("dataHash")]
    public void A_record_without_the_inputs_of_the_run_is_refused(string field)
    {
        using var run = new TinyRun();
        run.Interrupt(1);
        var record = run.Folder.ReadRecord();
        record.Options.AsObject().Remove(field);
        run.Folder.WriteRecord(record);
        Assert.Contains(field, Assert.Throws<KoalaException>(() => TrainingRun.PlanOf(run.Folder)).Fault,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_plan_identifies_the_target_and_the_data_and_has_full_paths()
    {
        var plan = new TrainingPlan(TinyRun.Request with { Validation = "held-out.jsonl" }, ShippedModels.Nano,
            TinyModels.Data);
        Assert.Equal((Path.GetFullPath("tiny.jsonl"), Path.GetFullPath("held-out.jsonl")), (plan.Data, plan.Validation));
        Assert.Equal((Path.GetFullPath(ShippedModels.Nano.Path), ShippedModels.Nano.Identity),
            (plan.Target, plan.TargetIdentity));
        Assert.Equal(("fp32", "cpu", torch.get_num_threads(), TinyModels.Data.Hash),
            (plan.Dtype, plan.Device, plan.Threads, plan.DataHash));
    }

    [Fact]
    public void A_damaged_state_is_skipped_for_the_previous_one_and_that_is_told()
    {
        using var run = new TinyRun();
        run.Interrupt(10);
        var damaged = Path.Combine(run.Folder.CheckpointsFolder, "step-10");
        File.WriteAllText(Path.Combine(damaged, "state.safetensors"), "damaged");
        // A save that was stopped is no damage.
        Directory.CreateDirectory(Path.Combine(run.Folder.CheckpointsFolder, "step-11.tmp"));
        var notes = new List<string>();
        run.Resume(notes: notes.Add);
        Assert.Matches($"^{damaged} is damaged \\(state.safetensors has 7 bytes, not [0-9]+\\); the run continues from step 8$",
            Assert.Single(notes));
        TinyRun.AssertSame(uninterrupted.Plain.Folder, run.Folder);
    }

    [Theory]
    [InlineData("learningRate", "0.003", "0.5")]
    [InlineData("seed", "5", "6")]
    [InlineData("layers", "1", "2")]
    [InlineData("steps", "12", "13")]
    public void A_run_whose_options_were_edited_is_refused_and_left_as_it_is(string name, string from, string to)
    {
        using var run = new TinyRun();
        run.Interrupt(5);
        var record = File.ReadAllText(run.Folder.RecordFile);
        var options = record.IndexOf("\"options\"", StringComparison.Ordinal);
        var edited = record[..options] + record[options..].Replace($"\"{name}\": {from}", $"\"{name}\": {to}");
        Assert.NotEqual(record, edited);
        File.WriteAllText(run.Folder.RecordFile, edited);
        foreach (var use in (Action[])[() => run.Resume(), () => TrainingRun.PlanOf(run.Folder)])
            Assert.Contains("options were edited", Assert.Throws<KoalaException>(use).Fault, StringComparison.Ordinal);
        Assert.Equal(edited, File.ReadAllText(run.Folder.RecordFile));
    }

    [Fact]
    public void A_record_of_an_earlier_version_which_has_no_hash_is_resumed()
    {
        using var run = new TinyRun();
        run.Interrupt(5);
        run.Folder.WriteRecord(run.Folder.ReadRecord() with { OptionsHash = null });
        run.Resume();
        TinyRun.AssertSame(uninterrupted.Plain.Folder, run.Folder);
    }

    [Fact]
    public void Metrics_that_lack_steps_are_told()
    {
        using var run = new TinyRun();
        run.Interrupt(8);
        var lines = File.ReadAllLines(run.Folder.MetricsFile);
        File.WriteAllLines(run.Folder.MetricsFile, [.. lines[..3], .. lines[5..7]]);
        var notes = new List<string>();
        run.Resume(notes: notes.Add);
        Assert.Equal($"{run.Folder.MetricsFile} lacks 3 of the 8 steps that are done; the run continues without", Assert.Single(notes));
        Assert.Equal([1, 2, 3, 6, 7, 9, 10, 11, 12], MetricsLog.Read(run.Folder.MetricsFile).Select(line => line.Step));
        Assert.Equal(TinyRun.HeadOf(uninterrupted.Plain.Folder), TinyRun.HeadOf(run.Folder));
    }

    [Fact]
    public void What_stopped_saves_and_writers_left_is_gone_when_the_run_is_finished()
    {
        using var run = new TinyRun();
        run.Start();
        run.Folder.WriteRecord(run.Folder.ReadRecord().Resume());
        foreach (var folder in (string[])["step-3.tmp", "step-12.old", "step-2.old.tmp"])
            Directory.CreateDirectory(Path.Combine(run.Folder.CheckpointsFolder, folder));
        foreach (var file in (string[])["run.json.9-1.tmp", "lock.json.9-2.tmp", "head/config.json.9-3.tmp"])
            File.WriteAllText(Path.Combine(run.Folder.Path, file), "left");
        run.Resume();
        Assert.Empty(Directory.GetFileSystemEntries(run.Folder.Path, "*.tmp", SearchOption.AllDirectories));
        Assert.Equal(["step-12", "step-8"],
            Directory.GetDirectories(run.Folder.CheckpointsFolder).Select(Path.GetFileName).Order());
        TinyRun.AssertSame(uninterrupted.Plain.Folder, run.Folder);
    }

    [Fact]
    public void A_run_that_died_before_the_head_was_written_needs_no_further_step()
    {
        using var run = new TinyRun();
        run.Start();
        Directory.Delete(run.Folder.HeadFolder, recursive: true);
        run.Folder.WriteRecord(run.Folder.ReadRecord().Resume());
        Assert.Equal(RunState.Died, run.State);
        run.Resume();
        TinyRun.AssertSame(uninterrupted.Plain.Folder, run.Folder);
    }

    [Fact]
    public void The_control_equals_a_separate_run_with_weight_0()
    {
        TinyRun.AssertSame(uninterrupted.Plain.Folder, uninterrupted.Pair.Control);
        Assert.Equal(TinyRun.Plan.Training.Adversary.Weight,
            TrainingRun.PlanOf(uninterrupted.Pair.Control).Training.Adversary.Weight);
        Assert.Equal(RunState.Finished, uninterrupted.Pair.State);
        Assert.NotEqual(TinyRun.HeadOf(uninterrupted.Pair.Control), TinyRun.HeadOf(uninterrupted.Pair.Folder));
        using var baseline = TinyModels.Train(TinyModels.WithAdversary);
        using var head = DraftHead.Load(uninterrupted.Pair.Folder.HeadFolder, ShippedModels.Nano);
        TinyModels.AssertSame(baseline, head);
    }

    [Theory]
    [InlineData(5, false)]
    [InlineData(3, true)]
    [InlineData(12, false)]
    public void A_pair_interrupted_in_either_run_ends_the_same(int step, bool inControl)
    {
        using var run = new TinyRun();
        run.Interrupt(step, TinyRun.Pair, inControl);
        Assert.Equal(inControl || step == 12 ? RunState.Finished : RunState.Interrupted, run.State);
        TinyRun.AssertSame(TinyRun.Pair, TrainingRun.PlanToResume(run.Folder));
        run.Resume();
        TinyRun.AssertSame(uninterrupted.Pair.Folder, run.Folder);
        TinyRun.AssertSame(uninterrupted.Pair.Control, run.Control);
    }

    /// <summary>The uninterrupted runs, trained once for all tests here.</summary>
    public sealed class Uninterrupted : IDisposable
    {
        public Uninterrupted()
        {
            Plain.Start();
            Pair.Start(TinyRun.Pair);
        }

        internal TinyRun Plain { get; } = new();

        internal TinyRun Pair { get; } = new();

        public void Dispose()
        {
            Plain.Dispose();
            Pair.Dispose();
        }
    }
}
