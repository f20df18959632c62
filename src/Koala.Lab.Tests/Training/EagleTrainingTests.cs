using Koala.Lab.Decoding;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Tests.Decoding;
using Koala.Lab.Training;
using TorchSharp;

namespace Koala.Lab.Tests.Training;

/// <summary>EAGLE heads in the same trainer: they learn, resume bit for bit, and leak nothing.</summary>
public sealed class EagleTrainingTests
{
    private static readonly EagleOptions s_head = new() { Layers = 2, DraftVocabulary = 200 };

    private static TrainingOptions Options(int steps, string preset = "koala") => TrainingPresets.Create(preset, s_head, steps) with
    {
        RowLength = 64, Seed = 5, ValidateEvery = 4, SaveEvery = 4,
    };

    /// <summary>The loss of features falls less where it weighs less.</summary>
    [Theory]
    [InlineData("koala", 0.95)]
    [InlineData("eagle-3-like", 0.93)]
    public void The_losses_fall_and_held_out_accuracy_rises_at_every_depth(string preset, double features)
    {
        var lines = new List<StepMetrics>();
        using var head = DraftHead.Create(new EagleOptions(), ShippedModels.Nano);
        using var trainer = new Trainer(ShippedModels.Nano, head, TinyModels.Data, Options(80, preset) with { ValidateEvery = 1000 });
        var before = trainer.Validate();
        trainer.Run(lines.Add, TinyModels.Nothing);
        foreach (var name in (string[])["smooth-l1", "soft-cross-entropy"])
        {
            double Of(StepMetrics line) => line.LossByName.Single(l => l.Key == name).Value;
            var (first, last) = (lines.Take(5).Average(Of), lines.TakeLast(5).Average(Of));
            Assert.True(last < (name == "smooth-l1" ? features : 0.8) * first, $"{name} from {first} to {last}");
        }
        Assert.All(lines, line => Assert.Equal(3, line.LossByDepth.Count));
        var after = lines[^1].ValidationAccuracy!;
        Assert.Equal(5, after.Count);
        foreach (var (then, now) in before.Zip(after))
            Assert.True(now > then + 0.008, $"from {string.Join(' ', before)} to {string.Join(' ', after)}");
    }

    /// <summary>The purpose of the training-time test: without it the head has never seen its own features.</summary>
    [Fact]
    public void Trained_on_its_own_output_a_head_drifts_less()
    {
        double Deep(int steps)
        {
            var lines = new List<StepMetrics>();
            using var head = TinyModels.Train(Options(120) with { TrainingTimeTest = steps, ValidateEvery = 1000 },
                new EagleOptions(), lines.Add);
            var accuracy = lines[^1].ValidationAccuracy!;
            return accuracy.Skip(2).Sum() / accuracy[0];
        }
        var (baseline, tested) = (Deep(1), Deep(3));
        Assert.True(tested > 1.05 * baseline, $"deeper accuracy against the first: {baseline} without, {tested} with");
    }

    [Theory, InlineData(0.0), InlineData(0.5)]
    public void Saved_after_half_and_resumed_it_is_bit_identical_with_noise_and_draft_vocabulary(double adversary)
    {
        using var folder = new TemporaryFolder();
        var options = Options(10) with { Adversary = new() { Weight = adversary, Warmup = 2, Width = 16 } };
        using var expected = TinyModels.Train(options, s_head);
        using (var head = TinyModels.NewHead(s_head))
        using (var trainer = new Trainer(ShippedModels.Nano, head, TinyModels.Data, options))
        using (var stop = new CancellationTokenSource())
        {
            Assert.Throws<OperationCanceledException>(() => trainer.Run(
                line =>
                {
                    if (line.Step == 5) stop.Cancel();
                },
                () => trainer.SaveState(folder.At("state")), stop.Token));
        }
        using var resumed = TinyModels.NewHead(s_head);
        using var second = new Trainer(ShippedModels.Nano, resumed, TinyModels.Data, options);
        second.LoadState(folder.At("state"));
        second.Run(_ => { }, TinyModels.Nothing);
        TinyModels.AssertSame(expected, resumed);
        using var silent = TinyModels.Train(options with { FeatureNoise = 0 }, s_head);
        Assert.False(TinyModels.Same(expected, silent));
    }

    [Fact]
    public void The_seed_decides_how_a_run_starts_and_a_killed_run_ends_the_same()
    {
        var plan = TinyRun.Plan with { Head = s_head, Training = Options(12) };
        using var run = new TinyRun();
        TinyRun? killed = null;
        run.Start(plan, progress =>
        {
            if (progress.Metrics.Step == 7) killed = run.Killed();
        });
        using (killed)
        {
            killed!.Resume();
            TinyRun.AssertSame(run.Folder, killed.Folder);
        }
        using var other = new TinyRun();
        other.Start(plan with { Training = plan.Training with { Seed = 6 } });
        Assert.NotEqual(TinyRun.HeadOf(run.Folder), TinyRun.HeadOf(other.Folder));
        var card = File.ReadAllText(Path.Combine(run.Folder.HeadFolder, "card.md"));
        Assert.Contains("the 200 most frequent of 512 tokens", card, StringComparison.Ordinal);
        Assert.Contains("0.1 smooth-l1 (decay 1), 1 soft-cross-entropy (decay 0.8)", card, StringComparison.Ordinal);
    }

    [Fact]
    public void The_draft_vocabulary_is_counted_on_the_answers()
    {
        using var run = new TinyRun();
        run.Start(TinyRun.Plan with { Head = s_head, Training = Options(1) });
        using var head = DraftHead.Load(run.Folder.HeadFolder, ShippedModels.Nano);
        var counts = TinyModels.Data.CountTokens(512);
        var least = head.Vocabulary!.Tokens.Except(ShippedModels.Nano.Config.EndOfSequenceIds).Min(token => counts[token]);
        Assert.All(Enumerable.Range(0, 512).Except(head.Vocabulary.Tokens), token => Assert.True(counts[token] <= least));
        Assert.True(least > 0);
    }

    [Fact]
    public void The_number_of_live_tensors_is_constant_over_steps()
    {
        var target = ShippedModels.Nano;
        var live = DisposeScopeManager.Statistics.TensorStatistics;
        // The target makes its tensors when they are first needed.
        _ = (target.LmHead, target.Model.Weights.Embedding, target.Model.Weights.Layers);
        var before = live.ThreadTotalLiveCount;
        var counts = new List<long>();
        using (var head = DraftHead.Create(s_head with { FusedFeatures = true }, target))
        using (var trainer = new Trainer(target, head, TinyModels.Data,
            Options(30) with { Adversary = new() { Weight = 0.1, Width = 16 }, ValidateEvery = 7 }))
            trainer.Run(_ => counts.Add(live.ThreadTotalLiveCount), TinyModels.Nothing);
        Assert.Single(counts.Skip(1).Distinct());
        Assert.Equal(before, live.ThreadTotalLiveCount);
    }

    /// <summary>Random heads, which are rarely correct, and trained ones, which often are.</summary>
    [Theory]
    [InlineData(1, 0, false)]
    [InlineData(2, 150, false)]
    [InlineData(3, 0, true)]
    public void Drafting_with_it_changes_no_answer(int layers, int vocabulary, bool fused)
    {
        var options = new EagleOptions { Layers = layers, DraftVocabulary = vocabulary, FusedFeatures = fused };
        using var random = Heads.EagleFixtures.Random(ShippedModels.Nano, options);
        // Fused features give the head the architecture of EAGLE-3, which learns more slowly at first.
        using var trained = TinyModels.Train(Options(fused ? 150 : 60) with { ValidateEvery = 1000 }, options);
        int[][] prompts = [.. Golden.Prompts("koala-nano").Select(p => p.Ids),
            .. PlainDecoding.MtBench(ShippedModels.Nano, 6).Where(p => p.Length < 100)];
        foreach (var (head, length) in ((DraftHead, int)[])[(random, 3), (trained, 1), (trained, 6)])
        {
            using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
            var generation = new GenerationOptions { MaxTokens = 40, DraftLength = length };
            var accepted = 0;
            foreach (var prompt in prompts)
            {
                var answer = decoder.Generate(prompt, generation);
                Assert.Equal(PlainDecoding.Answer(ShippedModels.Nano, prompt, 40), answer.Tokens);
                accepted += answer.Rounds.Sum(r => r.Accepted);
            }
            // The same holds in a batch, where each sequence accepts its own number of tokens.
            Assert.Equal(prompts.Select(p => PlainDecoding.Answer(ShippedModels.Nano, p, 40)),
                decoder.GenerateAll(prompts, generation).Select(a => a.Tokens.ToArray()));
            if (head == trained) Assert.True(accepted > 20, $"{accepted} accepted");
        }
    }
}
