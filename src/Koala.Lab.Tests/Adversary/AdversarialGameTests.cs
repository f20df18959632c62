using Koala.Lab.Adversary;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Tests.Training;
using Koala.Lab.Training;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Adversary;

[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class AdversarialGameTests
{
    private static readonly MedusaOptions s_medusa = new() { Heads = 2 };

    /// <summary>Every kind of head with everything that can be judged.</summary>
    public static TheoryData<string, Judged, JudgedWith> Games
    {
        get
        {
            var games = new TheoryData<string, Judged, JudgedWith>();
            foreach (var head in (string[])["medusa", "eagle"])
                foreach (var judged in Enum.GetValues<Judged>())
                    foreach (var with in Enum.GetValues<JudgedWith>())
                        if (head == "eagle" || judged != Judged.Features) games.Add(head, judged, with);
            return games;
        }
    }

    [Theory, MemberData(nameof(Games))]
    public void Neither_sides_loss_leaks_into_the_other_or_into_the_target(string kind, Judged judged, JudgedWith with)
    {
        using var scope = NewDisposeScope();
        using var head = DraftHead.Create(kind == "eagle" ? new EagleOptions() : s_medusa, ShippedModels.Nano);
        using var batch = Batch();
        using var game = new AdversarialGame(Options with { Judges = judged, With = with }, head, ShippedModels.Nano, 2, seed: 3);
        var terms = Terms(head, batch);
        var played = game.Play(terms, 0);
        Assert.True(played.Positions > 10);
        played.DiscriminatorLoss.backward();
        Assert.All(game.Discriminator.Parameters, p => Assert.True(p.Value.grad is not null));
        Assert.All(head.Parameters, p => Assert.Null(p.Value.grad));

        foreach (var (_, value) in game.Discriminator.Parameters) value.grad!.zero_();
        played.HeadLoss.backward();
        Assert.All(game.Discriminator.Parameters, p => Assert.Equal(0, p.Value.grad!.abs().sum().item<float>()));
        Assert.All(head.Parameters, p => Assert.NotNull(p.Value.grad));
        Assert.Contains(head.Parameters, p => p.Value.grad!.abs().sum().item<float>() > 0);
        Assert.Null(ShippedModels.Nano.LmHead.grad);
        Assert.Null(batch.Features.grad);
        Assert.Null(batch.Probabilities.grad);
        Dispose(terms);
    }

    [Fact]
    public void Distributions_are_judged_by_their_normed_expected_embedding_beside_the_state()
    {
        using var scope = NewDisposeScope();
        using var head = DraftHead.Create(s_medusa, ShippedModels.Nano);
        using var batch = Batch();
        using var pairs = new JudgedPairs(new AdversaryOptions(), head, ShippedModels.Nano, 2);
        var terms = Terms(head, batch);
        var (real, fake, state) = pairs.Of(terms, 0);
        Assert.Equal(128, pairs.Size);
        var embeddings = TinyModels.Doubles(ShippedModels.Nano.Embed(arange(512))).Chunk(64).ToArray();
        void AssertRow(Tensor distribution, Tensor actual)
        {
            var p = TinyModels.Doubles(distribution);
            var mean = Enumerable.Range(0, 64).Select(d => p.Select((share, token) => share * embeddings[token][d]).Sum()).ToArray();
            foreach (var (e, a) in Normed(mean).Zip(TinyModels.Doubles(actual))) Assert.Equal(e, a, 5e-4);
        }
        AssertRow(terms[0].P[3], real[3]);
        AssertRow(terms[0].Q[3], fake[3]);
        AssertRow(terms[1].Q[0], fake[terms[0].Logits.shape[0]]);
        foreach (var (e, a) in Normed(TinyModels.Doubles(terms[0].TargetStates[5])).Zip(TinyModels.Doubles(state![5])))
            Assert.Equal(e, a, 5e-5);
        Dispose(terms);
    }

    [Fact]
    public void Probabilities_are_those_of_the_targets_best_tokens_in_its_order()
    {
        using var scope = NewDisposeScope();
        using var head = DraftHead.Create(s_medusa, ShippedModels.Nano);
        using var batch = Batch();
        using var pairs = new JudgedPairs(new AdversaryOptions { Judges = Judged.Probabilities, TopTokens = 5, With = JudgedWith.Nothing },
            head, ShippedModels.Nano, 2);
        var terms = Terms(head, batch);
        var (real, fake, state) = pairs.Of(terms, 0);
        Assert.Null(state);
        Assert.Equal(5, pairs.Size);
        var (p, q) = (TinyModels.Doubles(terms[0].P[2]), TinyModels.Doubles(terms[0].Q[2]));
        int[] best = [.. Enumerable.Range(0, 512).OrderByDescending(token => p[token]).Take(5)];
        foreach (var (token, i) in best.Select((token, i) => (token, i)))
        {
            Assert.Equal(p[token] * Math.Sqrt(5), real[2, i].item<float>(), 5e-6);
            Assert.Equal(q[token] * Math.Sqrt(5), fake[2, i].item<float>(), 5e-6);
        }
        Dispose(terms);
    }

    [Fact]
    public void Of_many_positions_an_even_sample_is_judged_and_another_one_at_the_next_step()
    {
        using var scope = NewDisposeScope();
        using var head = DraftHead.Create(s_medusa, ShippedModels.Nano);
        using var batch = Batch();
        AdversaryOptions options = new() { With = JudgedWith.Nothing };
        using var all = new JudgedPairs(options with { Positions = 0 }, head, ShippedModels.Nano, 2);
        using var some = new JudgedPairs(options with { Positions = 20 }, head, ShippedModels.Nano, 2);
        var terms = Terms(head, batch);
        double[] First(JudgedPairs pairs, int step) => TinyModels.Doubles(pairs.Of(terms, step).Fake.select(1, 0));
        var (whole, sample) = (First(all, 1), First(some, 1));
        Assert.Equal(terms.Sum(t => t.Logits.shape[0]), whole.Length);
        Assert.Equal(20, sample.Length);
        Assert.NotEqual(sample, First(some, 2));
        // Ten of each depth, in order, so that their distances are alike.
        int[] at = [.. sample.Take(10).Select(value => Array.FindIndex(whole, x => Math.Abs(x - value) < 1e-5))];
        var distance = terms[0].Logits.shape[0] / 10.0;
        foreach (var (a, b) in at.Zip(at.Skip(1))) Assert.InRange(b - a, distance - 1, distance + 1);
        Dispose(terms);
    }

    [Fact]
    public void Sequences_are_the_depths_of_one_chain_side_by_side()
    {
        using var scope = NewDisposeScope();
        using var head = DraftHead.Create(new EagleOptions { DraftVocabulary = 300 }, ShippedModels.Nano);
        using var batch = Batch();
        AdversaryOptions options = new() { With = JudgedWith.Nothing };
        using var single = new JudgedPairs(options, head, ShippedModels.Nano, 2);
        using var pairs = new JudgedPairs(options with { Judges = Judged.Sequences }, head, ShippedModels.Nano, 2);
        var terms = Terms(head, batch);
        var (first, second) = (TinyModels.Doubles(terms[0].Chains), TinyModels.Doubles(terms[1].Chains));
        double[] chains = [.. first.Where(second.Contains)];
        Assert.InRange(chains.Length, 5, first.Length);
        var (_, fake, _) = pairs.Of(terms, 0);
        var (_, alone, _) = single.Of(terms, 0);
        Assert.Equal([chains.Length, 128], fake.shape);
        var at = chains.Length / 2;
        var (a, b) = (Array.IndexOf(first, chains[at]), first.Length + Array.IndexOf(second, chains[at]));
        Assert.Equal([.. TinyModels.Doubles(alone[a]), .. TinyModels.Doubles(alone[b])], TinyModels.Doubles(fake[at]));
        Dispose(terms);
    }

    /// <summary>Where all units are active, the score is linear, and its gradient is the product of the matrices.</summary>
    [Fact]
    public void The_gradient_penalty_is_that_of_a_linear_score()
    {
        using var scope = NewDisposeScope();
        using var head = DraftHead.Create(s_medusa, ShippedModels.Nano);
        using var batch = Batch();
        AdversaryOptions options = new()
        {
            Weight = 1, Width = 6, Loss = AdversarialLoss.Wasserstein, With = JudgedWith.Nothing, SpectralNorm = false, GradientPenalty = 3,
        };
        using var game = new AdversarialGame(options, head, ShippedModels.Nano, 2, seed: 1);
        using var without = new AdversarialGame(options with { GradientPenalty = 0 }, head, ShippedModels.Nano, 2, seed: 1);
        foreach (var g in (AdversarialGame[])[game, without])
            using (no_grad())
                foreach (var (name, value) in g.Discriminator.Parameters)
                    if (name.EndsWith("bias", StringComparison.Ordinal)) value.fill_(name[0] == '0' ? 20 : 200);
        var terms = Terms(head, batch);
        var weights = game.Discriminator.Parameters;
        var slope = weights["2.weight"].matmul(weights["1.weight"]).matmul(weights["0.weight"]);
        var expected = 3 * Math.Pow(slope.norm().item<float>() - 1, 2);
        var penalty = game.Play(terms, 4).DiscriminatorLoss.item<float>() - without.Play(terms, 4).DiscriminatorLoss.item<float>();
        Assert.Equal(expected, penalty, 5e-4);

        // It can be differentiated once more, to the discriminator's weights.
        game.Play(terms, 4).DiscriminatorLoss.backward();
        Assert.True(weights["0.weight"].grad!.abs().sum().item<float>() > 0);
        Dispose(terms);
    }

    [Theory]
    [InlineData(AdversarialLoss.Hinge)]
    [InlineData(AdversarialLoss.NonSaturating)]
    [InlineData(AdversarialLoss.LeastSquares)]
    [InlineData(AdversarialLoss.Wasserstein)]
    public void A_discriminator_learns_to_distinguish_fixed_outputs_and_a_head_that_follows_its_loss_passes_better(AdversarialLoss loss)
    {
        using var outer = NewDisposeScope();
        using var head = DraftHead.Create(s_medusa, ShippedModels.Nano);
        using var batch = Batch();
        using var game = new AdversarialGame(Options with { Loss = loss }, head, ShippedModels.Nano, 2, seed: 3);
        using var optimizer = new AdamW(game.Discriminator.Parameters, 0.5, 0.999, 0);
        HeadOutput[] outputs = [.. head.Predict(batch, ShippedModels.Nano)
            .Select(o => o with { Logits = o.Logits.detach().requires_grad_(true) })];
        double accuracy = 0;
        for (var step = 0; step < 60; step++)
        {
            using var scope = NewDisposeScope();
            var terms = DistillationTerms.OfAllDepths(outputs, batch);
            var played = game.Play(terms, step);
            optimizer.ZeroGradients();
            played.DiscriminatorLoss.backward();
            optimizer.Step(1e-2);
            accuracy = played.Accuracy;
            Assert.Equal(played.Accuracy, (played.TargetAccuracy + played.HeadAccuracy) / 2, 12);
            Dispose(terms);
        }
        Assert.True(accuracy > 0.7, $"accuracy {accuracy}");

        double HeadLoss(HeadOutput[] of, bool backward)
        {
            using var scope = NewDisposeScope();
            var terms = DistillationTerms.OfAllDepths(of, batch);
            var played = game.Play(terms, 60).HeadLoss;
            if (backward) played.backward();
            Dispose(terms);
            return played.item<float>();
        }
        var before = HeadLoss(outputs, backward: true);
        static Tensor Moved(Tensor logits) => (logits - logits.grad! / logits.grad!.abs().max()).detach();
        HeadOutput[] moved = [.. outputs.Select(o => o with { Logits = Moved(o.Logits) })];
        Assert.True(HeadLoss(moved, backward: false) < before);
    }

    [Fact]
    public void The_weight_is_balanced_by_the_norms_of_both_gradients_at_the_last_matrix()
    {
        using var scope = NewDisposeScope();
        using var head = DraftHead.Create(s_medusa, ShippedModels.Nano);
        using var batch = Batch();
        var options = Options with { Weight = 0.1, Warmup = 0, LowestAccuracy = 0 };
        using var game = new AdversarialGame(options, head, ShippedModels.Nano, 2, seed: 3);
        var terms = Terms(head, batch);
        var supervised = new SupervisedLoss([new("kl")]).Compute(terms).Total;
        var played = game.Play(terms, 20);
        var (weight, measured) = game.Weigh(played, supervised, 20);
        Tensor Gradient(Tensor loss) => autograd.grad([loss], [head.Parameters["blocks.0.weight"]], retain_graph: true)[0].view(-1);
        var (s, a) = (Gradient(supervised), Gradient(played.HeadLoss));
        Assert.Equal(0.1 * s.norm().item<float>(), weight * a.norm().item<float>(), 5e-5);
        Assert.Equal(nn.functional.cosine_similarity(s, a, 0).item<float>(), measured!.Cosine, 5e-4);
        Assert.Equal(1, GradientBalance.Measure(supervised, supervised * 3, head.Parameters["blocks.0.weight"]).Cosine, 5e-7);

        // Between measurements the ratio stays, and a run that is resumed has it.
        var (later, unmeasured) = game.Weigh(played, supervised, 21);
        Assert.Equal((weight, null), (later, unmeasured));
        Assert.Equal(measured.Ratio, game.State["ratio"].item<double>());
        Dispose(terms);
    }

    [Fact]
    public void A_discriminator_that_guesses_is_not_heard_and_one_that_is_ahead_does_not_learn()
    {
        Dictionary<string, double[]> Trained(AdversaryOptions adversary, out List<StepMetrics> lines)
        {
            var collected = new List<StepMetrics>();
            using var folder = new TemporaryFolder();
            using var head = TinyModels.NewHead(TinyModels.Head);
            using var trainer = new Trainer(ShippedModels.Nano, head, TinyModels.Data, TinyModels.Options with { Adversary = adversary });
            trainer.Run(collected.Add, TinyModels.Nothing);
            lines = collected;
            return head.Parameters.ToDictionary(p => p.Key, p => TinyModels.Doubles(p.Value));
        }
        using var plain = TinyModels.Train(TinyModels.Options);
        var ignored = Trained(Options with { LowestAccuracy = 1, HighestAccuracy = 1 }, out var guessing);
        Assert.All(guessing, line => Assert.Equal((0.0, false), (line.AdversaryWeight!.Value, line.DiscriminatorFrozen!.Value)));
        foreach (var (name, value) in plain.Parameters) Assert.Equal(TinyModels.Doubles(value), ignored[name]);
        // Its own learning goes on.
        Assert.NotEqual(guessing[0].DiscriminatorScoreOfTarget, guessing[^1].DiscriminatorScoreOfTarget);

        Trained(Options with { LowestAccuracy = 0, HighestAccuracy = 0 }, out var frozen);
        Assert.All(frozen.Where(line => line.DiscriminatorAccuracy > 0), line => Assert.True(line.DiscriminatorFrozen));
        Assert.Equal([1, 11], frozen.Where(line => line.GradientCosine is not null).Select(line => line.Step));
        Assert.All(frozen.Where(line => line.GradientCosine is not null), line => Assert.InRange(line.GradientCosine!.Value, -1, 1));
    }

    [Fact]
    public void The_weight_grows_linearly_and_stays()
    {
        var options = new AdversaryOptions { Weight = 0.4, Warmup = 8 };
        foreach (var (step, weight) in ((int, double)[])[(0, 0), (1, 0.05), (4, 0.2), (7, 0.35), (8, 0.4), (5000, 0.4)])
            Assert.Equal(weight, options.WeightAt(step), 12);
        Assert.Equal(0.4, new AdversaryOptions { Weight = 0.4, Warmup = 0 }.WeightAt(0));
    }

    private static AdversaryOptions Options { get; } = new() { Weight = 1, Width = 16 };

    private static TrainingBatch Batch() => TinyModels.Batch(2, TinyModels.Data.Rows[0], TinyModels.Data.Rows[1]);

    private static IReadOnlyList<DistillationTerms> Terms(DraftHead head, TrainingBatch batch) =>
        DistillationTerms.OfAllDepths(head.Predict(batch, ShippedModels.Nano), batch);

    private static double[] Normed(double[] x)
    {
        var mean = x.Average();
        var variance = x.Average(v => (v - mean) * (v - mean));
        return [.. x.Select(v => (v - mean) / Math.Sqrt(variance + 1e-5))];
    }

    private static void Dispose(IEnumerable<DistillationTerms> terms)
    {
        foreach (var t in terms) t.Dispose();
    }
}
