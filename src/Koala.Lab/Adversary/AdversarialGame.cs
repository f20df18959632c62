using Koala.Lab.Checkpoints;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Adversary;

/// <summary>The game between a head and a discriminator: the losses of both sides, and their balance.</summary>
/// <remarks>
/// The head gets the gradient of its loss through a discriminator whose weights are constants, and the discriminator learns
/// from outputs of the head that are constants, so neither side's step leaks into the other. Losses are means over the
/// positions of all depths. The trainer does the updates.
/// </remarks>
public sealed class AdversarialGame : IDisposable
{
    // A measurement of gradients takes two additional backward passes as far as the head's last matrix.
    private const int BalanceEvery = 10;

    private readonly JudgedPairs _pairs;
    private readonly Tensor _lastMatrix;
    private readonly Tensor _ratio;   // the supervised gradient's norm divided by the adversarial one's, [1] fp64
    private readonly int _seed;

    /// <param name="options">The options of the adversary.</param>
    /// <param name="head">The head. Its draft vocabulary must have been chosen.</param>
    /// <param name="target">The target.</param>
    /// <param name="depths">The number of depths that the head is trained over.</param>
    /// <param name="seed">The seed of the discriminator's initial weights and of the gradient penalty's random numbers.</param>
    public AdversarialGame(AdversaryOptions options, DraftHead head, Target target, int depths, int seed)
    {
        (Options, _seed) = (options, seed);
        _pairs = new JudgedPairs(options, head, target, depths);
        Discriminator = new Discriminator(_pairs.Size, options.Width, seed, target.Device, options.SpectralNorm);
        _lastMatrix = head.Parameters.Last(IsMatrix).Value;
        _ratio = zeros(1, ScalarType.Float64).DetachFromDisposeScope();
    }

    /// <summary>The options of the adversary.</summary>
    public AdversaryOptions Options { get; }

    /// <summary>The network that distinguishes the target's from the head's.</summary>
    public Discriminator Discriminator { get; }

    /// <summary>What a resumed run needs beside the discriminator's parameters and its optimizer. The game owns the tensors.</summary>
    internal StateDict State =>
    [
        .. Discriminator.State,
        .. Options.Balance == AdversaryBalance.GradientNorms
            ? (KeyValuePair<string, Tensor>[])[KeyValuePair.Create("ratio", _ratio)]
            : [],
    ];

    /// <summary>Lets both sides play a step: the discriminator scores the outputs of all depths.</summary>
    /// <param name="termsByDepth">The terms of all depths.</param>
    /// <param name="step">The step, counted from 0.</param>
    public GameStep Play(IReadOnlyList<DistillationTerms> termsByDepth, int step)
    {
        using var scope = NewDisposeScope();
        Discriminator.FollowWeights();
        var (real, fake, state) = _pairs.Of(termsByDepth, step);
        Tensor With(Tensor judged) => state is null ? judged : cat([judged, state], 1);

        var headLoss = Options.Loss.OfHead(Discriminator.Score(With(fake), frozen: true));
        fake = fake.detach();
        var (r, f) = (Discriminator.Score(With(real)), Discriminator.Score(With(fake)));
        var loss = Options.Loss.OfDiscriminator(r, f);
        if (Options is { Loss: AdversarialLoss.Wasserstein, GradientPenalty: > 0 } && real.shape[0] > 0)
            loss = loss + Options.GradientPenalty * GradientPenalty(real, fake, With, step);

        using var _ = no_grad();
        var threshold = Options.Loss.Threshold(r, f);
        var rightAboutTarget = AdversarialLosses.Mean((r > threshold).to(ScalarType.Float32));
        var rightAboutHead = AdversarialLosses.Mean((f <= threshold).to(ScalarType.Float32));
        // One copy to the host for all.
        Tensor[] all = [rightAboutTarget, rightAboutHead, AdversarialLosses.Mean(r), AdversarialLosses.Mean(f)];
        var values = stack(all.Select(value => value.view([]))).cpu().data<float>().ToArray();
        return new GameStep(headLoss.MoveToOuterDisposeScope(), loss.MoveToOuterDisposeScope(), (int)real.shape[0])
        {
            TargetAccuracy = values[0], HeadAccuracy = values[1], TargetScore = values[2], HeadScore = values[3],
        };
    }

    /// <summary>Whether the discriminator is so far ahead that it does not learn at this step.</summary>
    public bool IsAhead(GameStep played) => played.Accuracy > Options.HighestAccuracy;

    /// <summary>The weight of the head's loss at a step, balanced, and the gradients if they were measured.</summary>
    /// <param name="played">The step.</param>
    /// <param name="supervised">The supervised loss, a scalar with gradients.</param>
    /// <param name="step">The step, counted from 0.</param>
    public (double Weight, GradientBalance? Measured) Weigh(GameStep played, Tensor supervised, int step)
    {
        var weight = Options.WeightAt(step);
        GradientBalance? measured = null;
        if (Options.Balance == AdversaryBalance.GradientNorms)
        {
            if (step % BalanceEvery == 0 && played.Positions > 0)
            {
                measured = GradientBalance.Measure(supervised, played.HeadLoss, _lastMatrix);
                _ratio.fill_(measured.Ratio);
            }
            weight *= _ratio.item<double>();
        }
        // A discriminator that guesses has nothing to say to the head.
        return (played.Accuracy < Options.LowestAccuracy ? 0 : weight, measured);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Discriminator.Dispose();
        _pairs.Dispose();
        _ratio.Dispose();
    }

    // Biases of stacked heads have two dimensions as well.
    private static bool IsMatrix(KeyValuePair<string, Tensor> parameter) =>
        parameter.Value.dim() > 1 && !parameter.Key.EndsWith("bias", StringComparison.Ordinal);

    // The mean of (‖∇s‖ - 1)² at random points between the real and the fake input of each position.
    private Tensor GradientPenalty(Tensor real, Tensor fake, Func<Tensor, Tensor> with, int step)
    {
        var share = (UniformNoise.Sample([real.shape[0], 1], ((long)_seed << 32) + step, real.device) + 1) / 2;
        var between = (real.detach() * share + fake * (1 - share)).requires_grad_(true);
        var gradient = autograd.grad([Discriminator.Score(with(between)).sum()], [between], retain_graph: true, create_graph: true)[0];
        return (gradient.square().sum(-1).sqrt() - 1).square().mean();
    }
}
