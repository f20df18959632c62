using Koala.Lab.Heads.Medusa;
using Koala.Lab.Runs;
using Koala.Lab.Tests.Runs;
using Koala.Lab.Training;

namespace Koala.Lab.Tests.Training;

/// <summary>What a training run refuses, and that the refusal loses nothing.</summary>
public sealed class TrainingRunInputTests : IDisposable
{
    private readonly TinyRun _run = new();

    public void Dispose() => _run.Dispose();

    [Fact]
    public void Other_data_than_at_the_start_is_refused_and_the_run_can_still_be_resumed()
    {
        _run.Interrupt(5);
        var before = File.ReadAllBytes(_run.Folder.RecordFile);
        var e = Assert.Throws<KoalaException>(() =>
            _run.Resume(new TrainingData(TinyModels.Data.Rows, TinyModels.Data.Validation, "other")));
        Assert.Equal(TinyRun.Plan.Data, e.Where);
        Assert.Equal(before, File.ReadAllBytes(_run.Folder.RecordFile));
        _run.Resume();
        Assert.Equal(RunState.Finished, _run.State);
    }

    [Fact]
    public void A_finished_run_is_refused()
    {
        _run.Start(TinyRun.Plan with { Training = TinyModels.Options with { Steps = 2 } });
        Assert.Contains("is finished: all 2 steps",
            Assert.Throws<KoalaException>(() => TrainingRun.PlanToResume(_run.Folder)).Fault, StringComparison.Ordinal);
    }

    [Fact]
    public void A_finished_pair_is_refused()
    {
        _run.Start(TinyRun.Pair with { Training = TinyModels.WithAdversary with { Steps = 2 } });
        Assert.Contains("is finished", Assert.Throws<KoalaException>(() => TrainingRun.PlanToResume(_run.Folder)).Fault,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_locked_run_is_refused_and_left_unchanged()
    {
        _run.Interrupt(2);
        using (RunLock.Acquire(_run.Folder))
        {
            Assert.Contains("is held by", Assert.Throws<KoalaException>(() => _run.Resume()).Fault, StringComparison.Ordinal);
            Assert.Equal(RunState.Interrupted, _run.State);
        }
        using var fresh = new TinyRun();
        using (RunLock.Acquire(fresh.Folder)) Assert.Throws<KoalaException>(() => fresh.Start());
        Assert.False(File.Exists(fresh.Folder.RecordFile));
    }

    [Fact]
    public void No_other_process_can_lock_an_active_run()
    {
        KoalaException? refused = null;
        _run.Start(progress: progress => refused ??= Assert.Throws<KoalaException>(() => _run.Resume()));
        Assert.Contains($"process {Environment.ProcessId}", refused!.Fault, StringComparison.Ordinal);
        Assert.False(RunLock.IsHeld(_run.Folder));
    }

    public static TheoryData<string, TrainingPlan> Wrong => new()
    {
        { "withControls", TinyRun.Plan with { WithControls = ["none"] } },
        { "withControls", TinyRun.Pair with { WithControls = ["no-such"] } },
        { "withControls", TinyRun.Pair with { WithControls = ["none", "none"] } },
        { "steps", TinyRun.Plan with { Training = TinyModels.Options with { Steps = 0 } } },
        { "losses", TinyRun.Plan with { Training = TinyModels.Options with { Losses = [new("smooth-l1")] } } },
        { "layers", TinyRun.Plan with { Head = new MedusaOptions { Layers = 0 } } },
        { "adversary.weight", TinyRun.Pair with { Training = TinyModels.Options with { Adversary = new() { Weight = -1 } } } },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void A_wrong_plan_is_refused_before_anything_is_written(string option, TrainingPlan plan)
    {
        Assert.Equal(option, Assert.Throws<KoalaException>(() => _run.Start(plan)).Where);
        Assert.Empty(Directory.GetFileSystemEntries(_run.Folder.Path));
    }

    [Fact]
    public void A_run_of_another_kind_and_options_of_another_shape_are_refused()
    {
        using var folder = new TemporaryFolder();
        var sample = SampleRun.Create(folder.At("sample"));
        Assert.Equal(sample.RecordFile, Assert.Throws<KoalaException>(() => TrainingRun.PlanOf(sample)).Where);
        sample.WriteRecord(SampleRun.Record() with { Kind = "ablate" });
        Assert.Contains("'ablate'", Assert.Throws<KoalaException>(() => TrainingRun.PlanToResume(sample)).Fault,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_that_cannot_be_written_fails_the_run_and_the_error_says_where()
    {
        var e = Assert.Throws<KoalaException>(() => _run.Start(progress: progress =>
        {
            // A file takes the folder's name; as with a full disk, nothing can be saved there.
            if (progress.Metrics.Step == 6) File.WriteAllText(Path.Combine(_run.Folder.CheckpointsFolder, "step-8.tmp"), "");
        }));
        Assert.Contains("step-8", e.Message, StringComparison.Ordinal);
        Assert.Equal((RunState.Failed, e.Message), (_run.State, _run.Folder.ReadRecord().Failure));
        File.Delete(Path.Combine(_run.Folder.CheckpointsFolder, "step-8.tmp"));
        _run.Resume();
        Assert.Equal(Enumerable.Range(1, 12), MetricsLog.Read(_run.Folder.MetricsFile).Select(l => l.Step));
    }

    [Fact]
    public void A_run_whose_states_are_all_damaged_is_not_restarted()
    {
        using var run = new TinyRun();
        run.Interrupt(5);
        foreach (var file in Directory.GetFiles(run.Folder.CheckpointsFolder, "*.safetensors",
            SearchOption.AllDirectories))
            File.WriteAllBytes(file, [1, 2, 3]);
        var metrics = File.ReadAllText(run.Folder.MetricsFile);
        Assert.Contains("not a complete training state", Assert.Throws<KoalaException>(() => run.Resume()).Fault,
            StringComparison.Ordinal);
        Assert.Equal(metrics, File.ReadAllText(run.Folder.MetricsFile));
    }

    [Fact]
    public void A_target_whose_weights_have_changed_is_refused()
    {
        using var run = new TinyRun();
        var plan = TinyRun.Plan with
        {
            TargetIdentity = TinyRun.Plan.TargetIdentity with { EmbeddingHash = new string('0', 32) },
        };
        Assert.Contains("was begun with", Assert.Throws<KoalaException>(() => run.Start(plan)).Fault, StringComparison.Ordinal);
    }
}
