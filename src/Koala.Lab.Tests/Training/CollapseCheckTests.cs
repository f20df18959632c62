using Koala.Lab.Runs;
using Koala.Lab.Training;

namespace Koala.Lab.Tests.Training;

public sealed class CollapseCheckTests
{
    [Fact]
    public void A_head_that_gets_much_worse_ends_the_run_and_the_best_state_is_kept()
    {
        using var folder = new TemporaryFolder();
        var run = RunFolder.Create(folder.At("run"));
        var (saved, restored) = (new List<int>(), new List<string>());
        var check = new CollapseCheck(run, []);
        void Add(int step, double? tau) => check.Add(new StepMetrics { Step = step, ValidationTauTeacherForced = tau },
            state => { saved.Add(step); File.WriteAllText(Path.Combine(state, "state"), $"{step}"); }, restored.Add);
        Add(10, 1.04);
        Add(20, 1.01);   // there is nothing to lose yet
        Add(25, null);
        Add(30, 2.0);
        Add(40, 1.8);    // worse, but no collapse
        Add(50, double.NaN);
        var fault = Assert.Throws<KoalaException>(() => Add(60, 1.6));
        Assert.Equal([10, 30], saved);
        Assert.Equal("step 60: the adversarial game has collapsed: the held-out acceptance length fell from 2.00 at step 30 to 1.60; "
            + "the run's head is that of step 30. Fix: start a new run with a lower adversary.weight.", fault.Message);
        Assert.Equal("30", File.ReadAllText(Path.Combine(Assert.Single(restored), "state")));

        // A run that is resumed knows what it has reached.
        MetricsLine Line(int step, double tau) => new(step, new Dictionary<string, double> { ["validationTauTeacherForced"] = tau });
        var resumed = new CollapseCheck(run, [Line(10, 1.04), Line(30, 2.0), Line(40, 1.8)]);
        Assert.Throws<KoalaException>(() =>
            resumed.Add(new StepMetrics { Step = 60, ValidationTauTeacherForced = 1.6 }, _ => { }, _ => { }));
    }

    [Fact]
    public void A_run_that_collapses_fails_and_has_the_head_of_its_best_state()
    {
        // After 40 steps of three depths the loss leads away from the target.
        var calls = 0;
        LossRegistry.Register("turning", terms => (terms.P * (terms.LogP - terms.LogQ)).sum(-1) * (++calls > 120 ? -1 : 1));
        using var run = new TinyRun();
        var training = TinyModels.Options with
        {
            Steps = 120, LearningRate = 2e-2, ValidateEvery = 20, SaveEvery = 50, ValidationAnswers = 0, Losses = [new("turning")],
            Adversary = new() { Weight = 0.01, Width = 16 },
        };
        var lines = new List<StepMetrics>();
        var fault = Record.Exception(() => run.Start(TinyRun.Plan with { Training = training },
            progress => lines.Add(progress.Metrics)));
        var measured = string.Join(' ', lines.Select(line => line.ValidationTauTeacherForced).Where(tau => tau is not null));
        Assert.True(fault is KoalaException && fault.Message.Contains("has collapsed", StringComparison.Ordinal), measured);
        Assert.Equal(RunState.Failed, run.State);
        var best = lines.Where(line => line.ValidationAccuracy is not null).MaxBy(line => line.ValidationTauTeacherForced)!;
        using var head = Koala.Lab.Heads.DraftHead.Load(run.Folder.HeadFolder, ShippedModels.Nano);
        using var trainer = new Trainer(ShippedModels.Nano, head, TinyModels.Data, TinyModels.Options);
        Assert.Equal(best.ValidationAccuracy, trainer.Validate());
    }
}
