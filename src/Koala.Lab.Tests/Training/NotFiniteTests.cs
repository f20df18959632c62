using System.Globalization;
using Koala.Lab.Checkpoints.Safetensors;
using Koala.Lab.Heads;
using Koala.Lab.Runs;
using Koala.Lab.Training;

namespace Koala.Lab.Tests.Training;

/// <summary>A loss that is not finite ends the run; the saved state is finite and belongs to the last good step.</summary>
public sealed class NotFiniteTests : IDisposable
{
    private readonly TinyRun _run = new();

    public void Dispose() => _run.Dispose();

    [Theory]
    [InlineData(1e30, 1e-3)]
    [InlineData(3e-3, 1e20)]
    [InlineData(3e-3, 1e30)]
    public void A_rate_too_high_stops_the_run_with_the_last_good_state(double rate, double adversaryRate)
    {
        var training = TinyModels.WithAdversary with
        {
            LearningRate = rate, Warmup = 0,
            Adversary = TinyModels.WithAdversary.Adversary with { LearningRate = adversaryRate },
        };
        var plan = TinyRun.Plan with { Head = TinyModels.Head with { Layers = 3 }, Training = training };
        var e = Assert.Throws<KoalaException>(() => _run.Start(plan));
        var metrics = MetricsLog.Read(_run.Folder.MetricsFile);
        Assert.Equal($"step {metrics.Count + 1}", e.Where);
        Assert.Contains("not finite", e.Fault, StringComparison.Ordinal);
        Assert.Equal((RunState.Failed, e.Message), (_run.State, _run.Folder.ReadRecord().Failure));
        Assert.All(metrics,
            line => Assert.All(line.Values,
                value => Assert.True(double.IsFinite(value.Value), $"step {line.Step}: {value.Key}")));

        var state = new CheckpointStore(_run.Folder.CheckpointsFolder).Latest()!;
        Assert.Equal(metrics.Count, state.Step);
        var file = Path.Combine(state.Folder, "state.safetensors");
        Assert.Empty(TinyModels.NotFinite(file));
        using (var tensors = SafetensorsFile.Open(file))
            Assert.Equal(state.Step.ToString(CultureInfo.InvariantCulture), tensors.Metadata["step"]);

        using (var head = DraftHead.Create(plan.Head, ShippedModels.Nano))
        using (var trainer = new Trainer(ShippedModels.Nano, head, TinyModels.Data, training))
        {
            trainer.LoadState(state.Folder);
            Assert.Equal(state.Step, trainer.StepsDone);
        }
        // If the run is resumed unchanged, it fails at the same step and loses nothing.
        Assert.Equal(e.Message, Assert.Throws<KoalaException>(() => _run.Resume()).Message);
        Assert.Equal(metrics.Count, MetricsLog.Read(_run.Folder.MetricsFile).Count);
        Assert.Equal(RunState.Failed, _run.State);
    }

    [Fact]
    public void Nothing_is_changed_by_the_step_that_failed()
    {
        using var folder = new TemporaryFolder();
        using var head = DraftHead.Create(TinyModels.Head with { Layers = 3 }, ShippedModels.Nano);
        using var trainer = new Trainer(ShippedModels.Nano, head, TinyModels.Data,
            TinyModels.Options with { LearningRate = 1e30, Warmup = 0 });
        var bits = TinyModels.Bits(head);
        Assert.Throws<KoalaException>(() =>
            trainer.Run(_ => bits = TinyModels.Bits(head), () => trainer.SaveState(folder.Path)));
        foreach (var (name, value) in TinyModels.Bits(head)) Assert.True(value.AsSpan().SequenceEqual(bits[name]), name);
    }
}
