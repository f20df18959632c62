using Koala.Lab.Heads.Learning;
using static TorchSharp.torch;

namespace Koala.Lab.Adversary;

/// <summary>The two losses of the game between a head and a discriminator, non-saturating (arXiv 1406.2661, section 3).</summary>
/// <remarks>
/// s is the discriminator's score. Discriminator: softplus(-s(p)) + softplus(s(q)); head: softplus(-s(q)). Both are means over the places of all
/// depths, which of a head that feeds on itself are those of a trajectory. The trainer owns the updates.
/// </remarks>
public sealed class AdversarialGame : IDisposable
{
    /// <param name="options">The discriminator's sizes and the weight's schedule.</param>
    /// <param name="vocabulary">Size of the distributions: the head's vocabulary.</param>
    /// <param name="seed">Of the discriminator's initial weights.</param>
    /// <param name="device">Where it runs.</param>
    public AdversarialGame(AdversaryOptions options, long vocabulary, int seed, Device device)
    {
        Options = options;
        Discriminator = new Discriminator(vocabulary, options.Width, seed, device);
    }

    /// <summary>Its options.</summary>
    public AdversaryOptions Options { get; }

    /// <summary>The network that tells p from q.</summary>
    public Discriminator Discriminator { get; }

    /// <summary>The head's adversarial loss: lower when its distributions pass for the target's. Gradients flow to the head.</summary>
    /// <param name="termsByDepth">Of all depths; their q, [N,V] each, is what is scored.</param>
    /// <returns>A scalar, the mean over the positions of all depths; zero where there is no position.</returns>
    public Tensor HeadLoss(IReadOnlyList<DistillationTerms> termsByDepth)
    {
        using var scope = NewDisposeScope();
        var scores = Discriminator.Score(cat([.. termsByDepth.Select(j => j.Q)], 0));
        return Mean(nn.functional.softplus(-scores)).MoveToOuterDisposeScope();
    }

    /// <summary>The discriminator's loss, and how often it is right about the target's and about the head's distributions.</summary>
    public (Tensor Loss, Tensor RightAboutTarget, Tensor RightAboutHead) DiscriminatorLoss(IReadOnlyList<DistillationTerms> termsByDepth)
    {
        using var scope = NewDisposeScope();
        var real = Discriminator.Score(cat([.. termsByDepth.Select(j => j.P)], 0));
        var fake = Discriminator.Score(cat([.. termsByDepth.Select(j => j.Q.detach())], 0));
        var loss = Mean(nn.functional.softplus(-real)) + Mean(nn.functional.softplus(fake));
        var rightAboutTarget = Mean((real > 0).to(ScalarType.Float32));
        var rightAboutHead = Mean((fake <= 0).to(ScalarType.Float32));
        return (loss.MoveToOuterDisposeScope(), rightAboutTarget.MoveToOuterDisposeScope(), rightAboutHead.MoveToOuterDisposeScope());
    }

    /// <inheritdoc/>
    public void Dispose() => Discriminator.Dispose();

    // A batch may have no place to learn from; the mean of nothing is then zero, and not NaN.
    private static Tensor Mean(Tensor x) => x.numel() == 0 ? x.sum() : x.mean();
}
