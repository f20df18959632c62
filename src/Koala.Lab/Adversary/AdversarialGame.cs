using Koala.Lab.Heads.Learning;
using static TorchSharp.torch;

namespace Koala.Lab.Adversary;

/// <summary>
/// The two losses of the game between a head and a discriminator, in the non-saturating form (arXiv 1406.2661, section
/// 3).
/// </summary>
/// <remarks>
/// Let s be the discriminator's score. The discriminator's loss is softplus(-s(p)) + softplus(s(q)). The head's loss is
/// softplus(-s(q)). Both are means over the positions of all depths. For a head that reads its own output, these are
/// the positions of a trajectory. The trainer does the updates.
/// </remarks>
public sealed class AdversarialGame : IDisposable
{
    /// <param name="options">The sizes of the discriminator and the schedule of the weight.</param>
    /// <param name="vocabulary">The size of the distributions, which is the size of the head's vocabulary.</param>
    /// <param name="seed">The seed of the discriminator's initial weights.</param>
    /// <param name="device">The device of the discriminator.</param>
    public AdversarialGame(AdversaryOptions options, long vocabulary, int seed, Device device)
    {
        Options = options;
        Discriminator = new Discriminator(vocabulary, options.Width, seed, device);
    }

    /// <summary>The sizes of the discriminator and the schedule of the weight.</summary>
    public AdversaryOptions Options { get; }

    /// <summary>The network that distinguishes p from q.</summary>
    public Discriminator Discriminator { get; }

    /// <summary>
    /// The head's adversarial loss. It is low if the discriminator takes q for the target's. Gradients flow to the
    /// head.
    /// </summary>
    /// <param name="termsByDepth">The terms of all depths. The discriminator scores their q, [N,V] each.</param>
    /// <returns>A scalar, the mean over the positions of all depths; zero if there is no position.</returns>
    public Tensor HeadLoss(IReadOnlyList<DistillationTerms> termsByDepth)
    {
        using var scope = NewDisposeScope();
        var scores = Discriminator.Score(cat([.. termsByDepth.Select(terms => terms.Q)], 0));
        return Mean(nn.functional.softplus(-scores)).MoveToOuterDisposeScope();
    }

    /// <summary>The discriminator's loss, and its accuracies on the target's and on the head's distributions.</summary>
    /// <param name="termsByDepth">The terms of all depths. The discriminator scores their p and q, [N,V] each.</param>
    /// <returns>Three scalars, each a mean over the positions of all depths; zero if there is no position.</returns>
    public (Tensor Loss, Tensor TargetAccuracy, Tensor HeadAccuracy) DiscriminatorLoss(
        IReadOnlyList<DistillationTerms> termsByDepth)
    {
        using var scope = NewDisposeScope();
        var real = Discriminator.Score(cat([.. termsByDepth.Select(terms => terms.P)], 0));
        var fake = Discriminator.Score(cat([.. termsByDepth.Select(terms => terms.Q.detach())], 0));
        var loss = Mean(nn.functional.softplus(-real)) + Mean(nn.functional.softplus(fake));
        var targetAccuracy = Mean((real > 0).to(ScalarType.Float32));
        var headAccuracy = Mean((fake <= 0).to(ScalarType.Float32));
        return (loss.MoveToOuterDisposeScope(), targetAccuracy.MoveToOuterDisposeScope(), headAccuracy.MoveToOuterDisposeScope());
    }

    /// <inheritdoc/>
    public void Dispose() => Discriminator.Dispose();

    // A batch may have no position that counts. The mean is then zero instead of NaN.
    private static Tensor Mean(Tensor x) => x.numel() == 0 ? x.sum() : x.mean();
}
