using Koala.Lab.Adversary;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Tests.Training;
using Koala.Lab.Training;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Adversary;

[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class AdversarialGameTests
{
    [Fact]
    public void Losses_are_the_non_saturating_ones_by_hand()
    {
        using var scope = NewDisposeScope();
        using var batch = Batch();
        using var game = Game(4);
        var headOutputs = Random(batch);
        var (real, fake) = (new List<double>(), new List<double>());
        foreach (var output in headOutputs)
        {
            var target = batch.Probabilities.index_select(0, output.TargetPositions);
            real.AddRange(TinyModels.Doubles(game.Discriminator.Score(target)));
            fake.AddRange(TinyModels.Doubles(game.Discriminator.Score(output.Logits.softmax(-1))));
        }
        static double Softplus(double x) => Math.Log(1 + Math.Exp(x));
        static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));

        // -log D(q), and -log D(p) - log(1 - D(q)), each as the mean over all positions.
        var headLoss = game.HeadLoss(TermsOf(headOutputs, batch)).item<float>();
        Tolerance.AssertClose(fake.Average(s => -Math.Log(Sigmoid(s))), headLoss, fake.Count);
        var (loss, rightAboutTarget, rightAboutHead) = game.DiscriminatorLoss(TermsOf(headOutputs, batch));
        var expected = real.Average(s => Softplus(-s)) + fake.Average(s => Softplus(s));
        Tolerance.AssertClose(expected, loss.item<float>(), real.Count + fake.Count);
        Tolerance.AssertClose(real.Average(s => s > 0 ? 1.0 : 0), rightAboutTarget.item<float>(), real.Count);
        Tolerance.AssertClose(fake.Average(s => s <= 0 ? 1.0 : 0), rightAboutHead.item<float>(), fake.Count);
    }

    [Fact]
    public void A_discriminator_learns_to_distinguish_fixed_distributions()
    {
        using var batch = Batch();
        using var game = Game(16);
        using var optimizer = new AdamW(game.Discriminator.Parameters, 0.5, 0.999, 0);
        using var outer = NewDisposeScope();
        var headOutputs = Random(batch);
        var (losses, accuracies) = (new List<double>(), new List<double>());
        for (var step = 0; step < 80; step++)
        {
            using var scope = NewDisposeScope();
            var (loss, target, head) = game.DiscriminatorLoss(TermsOf(headOutputs, batch));
            optimizer.ZeroGradients();
            loss.backward();
            optimizer.Step(3e-3);
            losses.Add(loss.item<float>());
            accuracies.Add(0.5 * (target.item<float>() + head.item<float>()));
        }
        Assert.InRange(losses[0], 1.2, 1.6);
        Assert.True(losses[^1] < 0.5, $"loss {losses[^1]}");
        Assert.InRange(accuracies[0], 0.2, 0.8);
        Assert.True(accuracies[^1] > 0.9, $"accuracy {accuracies[^1]}");
    }

    [Fact]
    public void A_head_that_follows_its_loss_passes_for_the_target()
    {
        using var scope = NewDisposeScope();
        using var batch = Batch();
        using var game = Game(16);
        var headOutputs = Random(batch);
        var before = game.HeadLoss(TermsOf(headOutputs, batch));
        before.backward();
        var moved = headOutputs.Select(p => p with { Logits = (p.Logits - p.Logits.grad! * 1e3).detach() }).ToArray();
        Assert.True(game.HeadLoss(TermsOf(moved, batch)).item<float>() < before.item<float>());
    }

    [Fact]
    public void The_heads_loss_has_gradients_for_the_head_and_not_for_the_target()
    {
        using var scope = NewDisposeScope();
        using var batch = Batch();
        using var game = Game(8);
        using var head = DraftHead.Create(TinyModels.Head, ShippedModels.Nano);
        game.HeadLoss(TermsOf(head.Predict(batch, ShippedModels.Nano), batch)).backward();
        Assert.All(head.Parameters, p => Assert.True(p.Value.grad!.abs().sum().item<float>() > 0));
        Assert.Null(ShippedModels.Nano.LmHead.grad);
        Assert.Null(batch.Features.grad);
        Assert.Null(batch.Probabilities.grad);
    }

    [Fact]
    public void The_discriminators_loss_has_no_gradient_for_the_head()
    {
        using var scope = NewDisposeScope();
        using var batch = Batch();
        using var game = Game(8);
        using var head = DraftHead.Create(TinyModels.Head, ShippedModels.Nano);
        game.DiscriminatorLoss(TermsOf(head.Predict(batch, ShippedModels.Nano), batch)).Loss.backward();
        Assert.All(head.Parameters, p => Assert.Null(p.Value.grad));
        Assert.All(game.Discriminator.Parameters, p => Assert.NotNull(p.Value.grad));
    }

    [Fact]
    public void The_weight_grows_linearly_and_stays()
    {
        var options = new AdversaryOptions { Weight = 0.4, Warmup = 8 };
        foreach (var (step, weight) in ((int, double)[])[(0, 0), (1, 0.05), (4, 0.2), (7, 0.35), (8, 0.4), (5000, 0.4)])
            Assert.Equal(weight, options.WeightAt(step), 12);
        Assert.Equal(0.4, new AdversaryOptions { Weight = 0.4, Warmup = 0 }.WeightAt(0));
    }

    private static TrainingBatch Batch() => TinyModels.Batch(TinyModels.Data.Rows[0], TinyModels.Data.Rows[1]);

    private static AdversarialGame Game(int width) => new(new AdversaryOptions { Weight = 1, Width = width }, 512, 3, CPU);

    private static DistillationTerms[] TermsOf(IEnumerable<HeadOutput> headOutputs, TrainingBatch batch) =>
        [.. headOutputs.Select(p => new DistillationTerms(p, batch))];

    // The distributions are as peaked as a target's, but at the wrong tokens.
    private static HeadOutput[] Random(TrainingBatch batch)
    {
        using var generator = new Generator(8, CPU);
        return [.. Enumerable.Range(0, 2).Select(depth =>
        {
            var positions = batch.LabelPositions(2 + depth).Select(p => p + 1 + depth).ToArray();
            return new HeadOutput(depth, (randn(positions.Length, 512, generator: generator) * 3).requires_grad_(true),
                tensor(positions));
        })];
    }
}
