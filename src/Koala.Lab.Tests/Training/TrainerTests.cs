using Koala.Lab.Adversary;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Training;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Training;

/// <summary>What makes two trainings equal, and that training improves a head.</summary>
public sealed class TrainerTests
{
    [Fact]
    public void The_same_seed_gives_the_same_head_and_another_seed_another()
    {
        using var one = TinyModels.Train(TinyModels.WithAdversary);
        using var two = TinyModels.Train(TinyModels.WithAdversary);
        using var other = TinyModels.Train(TinyModels.WithAdversary with { Seed = 6 });
        TinyModels.AssertSame(one, two);
        Assert.False(TinyModels.Same(one, other));
    }

    [Fact]
    public void A_trainer_that_has_not_run_leaves_its_head_unchanged()
    {
        using var head = DraftHead.Create(new EagleOptions { DraftVocabulary = 200 }, ShippedModels.Nano);
        var (before, vocabulary) = (TinyModels.Bits(head), head.Vocabulary);
        using var trainer = new Trainer(ShippedModels.Nano, head, TinyModels.Data, TinyModels.WithAdversary);
        Assert.Same(vocabulary, head.Vocabulary);
        foreach (var (name, bits) in TinyModels.Bits(head)) Assert.Equal(before[name], bits);
    }

    [Fact]
    public void Adversary_weight_0_is_no_adversary_whatever_its_other_options()
    {
        var lines = new List<StepMetrics>();
        using var plain = TinyModels.Train(TinyModels.Options);
        using var zero = TinyModels.Train(TinyModels.Options with
        {
            Adversary = new AdversaryOptions { Weight = 0, Warmup = 1, Width = 7, LearningRate = 0.5 },
        },
            onStep: lines.Add);
        TinyModels.AssertSame(plain, zero);
        Assert.All(lines,
            line => Assert.Equal((null, null, null, null),
                (line.AdversarialLoss, line.AdversaryWeight, line.DiscriminatorLoss, line.DiscriminatorAccuracy)));
    }

    [Fact]
    public void An_adversary_changes_the_head_when_its_weight_is_above_0()
    {
        using var control = TinyModels.Train(TinyModels.Options);
        using var adversarial = TinyModels.Train(TinyModels.WithAdversary);
        Assert.False(TinyModels.Same(control, adversarial));

        // The weight is 0 at the first step of warm-up: that step changes nothing except the metrics.
        using var oneControl = TinyModels.Train(TinyModels.Options with { Steps = 1 });
        using var oneAdversarial = TinyModels.Train(TinyModels.WithAdversary with { Steps = 1 });
        Assert.Equal(TinyModels.Bits(oneControl).SelectMany(t => t.Value),
            TinyModels.Bits(oneAdversarial).SelectMany(t => t.Value));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Saved_after_half_and_loaded_into_another_trainer_the_head_is_bit_identical(bool adversary)
    {
        using var folder = new TemporaryFolder();
        var options = (adversary ? TinyModels.WithAdversary : TinyModels.Options) with { SaveEvery = 6 };
        var straight = new List<StepMetrics>();
        using var expected = TinyModels.Train(options, onStep: straight.Add);

        var halves = new List<StepMetrics>();
        using (var head = DraftHead.Create(TinyModels.Head, ShippedModels.Nano))
        using (var trainer = new Trainer(ShippedModels.Nano, head, TinyModels.Data, options))
        using (var stop = new CancellationTokenSource())
        {
            Assert.Throws<OperationCanceledException>(() => trainer.Run(
                line =>
                {
                    halves.Add(line);
                    if (line.Step == 6) stop.Cancel();
                },
                () => trainer.SaveState(folder.At("state")), stop.Token));
            Assert.Equal(6, trainer.StepsDone);
        }
        using var resumed = DraftHead.Create(TinyModels.Head, ShippedModels.Nano);
        using var second = new Trainer(ShippedModels.Nano, resumed, TinyModels.Data, options);
        second.LoadState(folder.At("state"));
        Assert.Equal(6, second.StepsDone);
        second.Run(halves.Add, TinyModels.Nothing);

        TinyModels.AssertSame(expected, resumed);
        Assert.Equal(straight.Select(Describe), halves.Select(Describe));
        for (var i = 1; i < halves.Count; i++) Assert.True(halves[i].Seconds > halves[i - 1].Seconds);
    }

    [Theory]
    [InlineData(1, "soft-cross-entropy")]
    [InlineData(2, "soft-cross-entropy")]
    [InlineData(1, "cross-entropy")]
    [InlineData(2, "cross-entropy")]
    public void The_loss_falls_and_held_out_accuracy_rises(int layers, string loss)
    {
        var options = TinyModels.Options with
        {
            Steps = 60, Warmup = 5, LearningRate = 1e-2, Losses = [new(loss, 1, 0.8)], ValidateEvery = 1000,
        };
        using var head = DraftHead.Create(TinyModels.Head with { Layers = layers }, ShippedModels.Nano);
        using var trainer = new Trainer(ShippedModels.Nano, head, TinyModels.Data, options);
        var before = trainer.Validate();
        var lines = new List<StepMetrics>();
        trainer.Run(lines.Add, TinyModels.Nothing);

        var (first, last) = (lines.Take(5).Average(l => l.Loss), lines.TakeLast(5).Average(l => l.Loss));
        Assert.True(last < 0.75 * first, $"loss from {first} to {last}");
        var after = lines[^1].ValidationAccuracy!;
        Assert.Equal(3, after.Count);
        // An untrained head repeats the target's next token and is rarely correct; koala-nano's states say little about
        // the token after it.
        Assert.True(after[0] > before[0], $"accuracy at depth 1 from {before[0]} to {after[0]}");
        Assert.True(after.Sum() > 1.5 * before.Sum(),
            $"accuracies from {string.Join(' ', before)} to {string.Join(' ', after)}");
        Assert.All(after, a => Assert.InRange(a, 0, 1));
    }

    [Fact]
    public void The_metrics_contain_the_minimised_loss()
    {
        var lines = new List<StepMetrics>();
        using var head = TinyModels.Train(TinyModels.WithAdversary, onStep: lines.Add);
        Assert.Equal(Enumerable.Range(1, 12), lines.Select(l => l.Step));
        foreach (var line in lines)
        {
            var weight = line.AdversaryWeight!.Value;
            Assert.Equal(TinyModels.WithAdversary.Adversary.WeightAt(line.Step - 1) > 0, weight > 0);
            var supervised = line.LossByDepth.Select((loss, depth) => loss * Math.Pow(0.8, depth)).Sum();
            Tolerance.AssertClose(supervised + weight * line.AdversarialLoss!.Value, line.Loss, 2 * line.LossByDepth.Count + 2);
            Assert.Equal(TinyModels.Options.LearningRateAt(line.Step - 1), line.LearningRate);
            Assert.Equal(line.Step * 128L, line.Tokens);
            Assert.Equal(line.Step % 4 == 0, line.ValidationAccuracy is not null);
            Assert.InRange(line.DiscriminatorAccuracy!.Value, 0, 1);
        }
    }

    [Fact]
    public void The_state_is_saved_when_due_and_at_the_end()
    {
        using var head = DraftHead.Create(TinyModels.Head, ShippedModels.Nano);
        using var trainer = new Trainer(ShippedModels.Nano, head, TinyModels.Data, TinyModels.Options with { Steps = 10 });
        var saved = new List<int>();
        trainer.Run(_ => { }, () => saved.Add(trainer.StepsDone));
        Assert.Equal([4, 8, 10], saved);
        trainer.Run(_ => Assert.Fail("all steps are done"), TinyModels.Nothing);
    }

    [Fact]
    public void A_state_of_another_head_or_without_the_adversary_is_refused_and_changes_nothing()
    {
        using var folder = new TemporaryFolder();
        using (var other = DraftHead.Create(new MedusaOptions { Layers = 2, Heads = 3 }, ShippedModels.Nano))
        using (var trainer = new Trainer(ShippedModels.Nano, other, TinyModels.Data, TinyModels.Options))
            trainer.SaveState(folder.At("k2"));
        using var head = DraftHead.Create(TinyModels.Head, ShippedModels.Nano);
        using (var trainer = new Trainer(ShippedModels.Nano, head, TinyModels.Data, TinyModels.Options))
            trainer.SaveState(folder.At("plain"));

        using var adversarial = new Trainer(ShippedModels.Nano, head, TinyModels.Data, TinyModels.WithAdversary);
        using var fresh = DraftHead.Create(TinyModels.Head, ShippedModels.Nano);
        foreach (var state in (string[])["k2", "plain", "absent"])
            Assert.Contains(state, Assert.Throws<KoalaException>(() => adversarial.LoadState(folder.At(state))).Message,
                StringComparison.Ordinal);
        Assert.Equal(0, adversarial.StepsDone);
        TinyModels.AssertSame(fresh, head);
    }

    [Fact]
    public void The_target_is_not_changed()
    {
        using var scope = NewDisposeScope();
        var before = ShippedModels.Nano.LmHead.clone();
        using var head = TinyModels.Train(TinyModels.WithAdversary with { Steps = 3 });
        Assert.True(before.equal(ShippedModels.Nano.LmHead).all().item<bool>());
        Assert.False(ShippedModels.Nano.LmHead.requires_grad);
        Assert.Null(ShippedModels.Nano.LmHead.grad);
    }

    private static string Describe(StepMetrics line) =>
        string.Join(' ', line.Values.Where(v => v.Key != "seconds").Select(v => $"{v.Key}={v.Value:R}"));
}
