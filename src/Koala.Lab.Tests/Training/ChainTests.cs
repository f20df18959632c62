using Koala.Lab.Decoding;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Training;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Training;

/// <summary>What depends on the depths before: expected τ, the first error, and the acceptance length in training.</summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class ChainTests
{
    private const int Vocabulary = 512;
    private static readonly int[] s_tokens = [5, 17, 200, 31, 44, 311, 7, 90, 12, 13];

    // Chains start behind token 1, 2, 3 and 4; the last two end early, as at the end of an answer.
    private static readonly long[][] s_positions = [[2, 3, 4, 5], [3, 4, 5], [4, 5]];

    [Fact]
    public void Expected_tau_is_the_sum_of_products_by_hand()
    {
        using var scope = NewDisposeScope();
        using var batch = Batch();
        var outputs = Outputs();
        var terms = DistillationTerms.OfAllDepths(outputs, batch);
        var acceptance = terms.Select(t => TinyModels.Doubles(t.AcceptanceProbability)).ToArray();
        for (var depth = 0; depth < 3; depth++)
        {
            var loss = LossRegistry.Find("expected-tau").Compute(terms[depth]).item<float>();
            var expected = s_positions[depth].Select((_, chain) =>
                1 - Enumerable.Range(0, depth + 1).Aggregate(1.0, (product, d) => product * acceptance[d][chain])).Average();
            Tolerance.AssertClose(expected, loss, 4 * Vocabulary);
        }
        Dispose(terms);
    }

    /// <summary>The gradient with respect to a depth has the product of the other depths' acceptances as its factor.</summary>
    [Fact]
    public void Its_gradient_at_a_depth_is_that_of_the_acceptance_times_the_others()
    {
        using var scope = NewDisposeScope();
        using var batch = Batch();
        var outputs = Outputs();
        var terms = DistillationTerms.OfAllDepths(outputs, batch);
        var second = terms[1].AcceptanceProbability;
        LossRegistry.Find("expected-tau").Compute(terms[1]).backward();
        var gradient = TinyModels.Doubles(outputs[0].Logits.grad![0]);

        var alone = outputs[0].Logits.detach().requires_grad_(true);
        using var first = new DistillationTerms(outputs[0] with { Logits = alone }, batch);
        first.AcceptanceProbability[0].backward();
        var factor = -second[0].item<float>() / s_positions[1].Length;
        var size = gradient.Max(Math.Abs);
        foreach (var (expected, actual) in TinyModels.Doubles(alone.grad![0]).Zip(gradient))
            Tolerance.AssertClose(expected * factor, actual, 4 * Vocabulary, size);
        // The last chain does not reach the second depth.
        Assert.Equal(0, outputs[0].Logits.grad![3].abs().sum().item<float>());
        Dispose(terms);
    }

    [Fact]
    public void Behind_a_position_that_does_not_count_a_chain_is_not_reached()
    {
        using var scope = NewDisposeScope();
        using var batch = Batch();
        var best = batch.BestTokens.data<long>().ToArray();
        long[] tokens = [best[3], best[4], best[5], 100, 101, 102];
        long[] vocabulary = [.. tokens.Where(token => token != best[2]).Distinct().Order()];
        Assert.DoesNotContain(best[2], vocabulary);
        var narrow = Outputs().Select(output =>
            output with { Logits = output.Logits.narrow(1, 0, vocabulary.Length), Vocabulary = tensor(vocabulary) }).ToArray();
        var terms = DistillationTerms.OfAllDepths(narrow, batch);
        var chains = TinyModels.Doubles(terms[1].Chains);
        var reach = TinyModels.Doubles(terms[1].ReachProbability);
        var first = TinyModels.Doubles(terms[0].Chains);
        Assert.All(chains.Zip(reach), x => Assert.Equal(first.Contains(x.First), x.Second > 0));
        Assert.Contains(chains, chain => !first.Contains(chain));
        Dispose(terms);
    }

    [Fact]
    public void The_first_error_of_each_chain_weighs_more()
    {
        using var scope = NewDisposeScope();
        using var batch = Batch();
        var best = batch.BestTokens.data<long>().ToArray();
        // Of the chains, the first errs at once, the second at the second depth, and the others do not before they end.
        var errs = new (int Depth, int Chain)[] { (0, 0), (1, 0), (1, 1), (2, 1) };
        var outputs = Outputs().Select((output, depth) =>
        {
            var logits = output.Logits.detach().clone();
            foreach (var (position, chain) in s_positions[depth].Select((position, chain) => (position, chain)))
                logits[chain, errs.Contains((depth, chain)) ? (best[position] + 1) % Vocabulary : best[position]] = 50f;
            return output with { Logits = logits.requires_grad_(true) };
        }).ToArray();
        var terms = DistillationTerms.OfAllDepths(outputs, batch);
        bool[][] firstErrors = [[true, false, false, false], [false, true, false], [false, false]];
        for (var depth = 0; depth < 3; depth++)
        {
            Assert.Equal(firstErrors[depth], terms[depth].FirstErrors(ofFeatures: false).data<bool>().ToArray());
            var losses = TinyModels.Doubles(1 - terms[depth].AcceptanceProbability);
            double[] weights = [.. firstErrors[depth].Select(error => error ? 3.0 : 1.0)];
            var expected = losses.Zip(weights, (loss, weight) => loss * weight).Sum() / weights.Sum();
            Tolerance.AssertClose(expected, LossRegistry.Find("total-variation").Compute(terms[depth], 2).item<float>(), 2 * Vocabulary);
        }
        Dispose(terms);
    }

    /// <summary>Position weights exp(-k/γ), as others write them, are a decay of exp(-1/γ).</summary>
    [Fact]
    public void A_decay_is_an_exponential_weight_of_the_position()
    {
        using var scope = NewDisposeScope();
        using var batch = Batch();
        var terms = DistillationTerms.OfAllDepths(Outputs(), batch);
        const double Gamma = 4;
        var each = terms.Select(t => (double)LossRegistry.Find("acceptance").Compute(t).item<float>()).ToArray();
        var total = new SupervisedLoss([new("acceptance", 1, Math.Exp(-1 / Gamma))]).Compute(terms).Total.item<float>();
        Tolerance.AssertClose(each.Select((loss, k) => loss * Math.Exp(-k / Gamma)).Sum(), total, 3 * Vocabulary, each.Sum());
        Dispose(terms);
    }

    [Fact]
    public void Training_reports_the_simulated_and_both_held_out_acceptance_lengths()
    {
        var lines = new List<StepMetrics>();
        using var head = TinyModels.Train(TinyModels.Options with { Steps = 40, ValidateEvery = 20, LearningRate = 1e-2 },
            onStep: lines.Add);
        Assert.All(lines, line => Assert.InRange(line.TauSimulated, 1, 4));
        Assert.True(lines.TakeLast(5).Average(line => line.TauSimulated) > lines.Take(5).Average(line => line.TauSimulated));
        Assert.Equal([20, 40], lines.Where(line => line.ValidationTauFreeRunning is not null).Select(line => line.Step));

        // The share of correct chains is at most the accuracy of each depth, and equal to it at the first.
        var (accuracy, forced) = (lines[^1].ValidationAccuracy!, lines[^1].ValidationTauTeacherForced!.Value);
        Assert.InRange(forced, 1 + accuracy[0], 1 + accuracy.Sum());

        // The prompts of the held-out rows, answered by the decoder with the trained head.
        int[][] prompts = [.. TinyModels.Data.Validation.SelectMany(row => Enumerable.Range(0, 64)
            .Where(t => row.LossMask[t] && row.Positions[t] > 0).DistinctBy(t => row.Segments[t])
            .Select(t => row.Tokens[(t - row.Positions[t])..t])).Take(16)];
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        decoder.GenerateAll(prompts, new GenerationOptions { MaxTokens = 64, DraftLength = 3 });
        Assert.Equal(decoder.Trace.AcceptanceLength, lines[^1].ValidationTauFreeRunning!.Value, 9);
        Assert.True(lines[^1].ValidationTauFreeRunning > 1);
    }

    [Fact]
    public void Without_validation_answers_nothing_is_drafted()
    {
        var lines = new List<StepMetrics>();
        using var head = TinyModels.Train(TinyModels.Options with { Steps = 2, ValidationAnswers = 0 }, onStep: lines.Add);
        Assert.Null(lines[^1].ValidationTauFreeRunning);
        Assert.NotNull(lines[^1].ValidationTauTeacherForced);
        Assert.DoesNotContain(lines[^1].Values, value => value.Key == "validationTauFreeRunning");
    }

    [Fact]
    public void A_copy_for_drafting_has_the_same_weights_and_is_independent()
    {
        using var head = DraftHead.Create(new Koala.Lab.Heads.Eagle.EagleOptions { DraftVocabulary = 200 }, ShippedModels.Nano);
        using var copy = head.CopyForDrafting(ShippedModels.Nano);
        TinyModels.AssertSame(head, copy);
        using (no_grad()) head.Parameters[0].Value.add_(1);
        Assert.False(TinyModels.Same(head, copy));
    }

    private static TrainingBatch Batch() => TinyModels.Batch(TinyModels.Row(s_tokens, new int[10], "xxxxxxxxxx"));

    private static HeadOutput[] Outputs()
    {
        using var generator = new Generator(4, CPU);
        return [.. s_positions.Select((positions, depth) => new HeadOutput(depth,
            (randn(positions.Length, Vocabulary, generator: generator) * 3).requires_grad_(true), tensor(positions)))];
    }

    private static void Dispose(IEnumerable<DistillationTerms> terms)
    {
        foreach (var t in terms) t.Dispose();
    }
}
