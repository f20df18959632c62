using Koala.Lab.Heads.Learning;
using static TorchSharp.torch;

namespace Koala.Lab.Training;

/// <summary>
/// The loss of a confidence output: how far its probabilities are from what happened to the tokens. It is the binary cross-entropy, a mean
/// over all positions of all depths and over both outputs, with the labels of <see cref="DistillationTerms.Accepted"/>.
/// </summary>
/// <remarks>The labels may lie between 0 and 1. The minimum is at the label, so a trained output is calibrated.</remarks>
internal static class ConfidenceLoss
{
    /// <summary>Computes the loss.</summary>
    /// <param name="termsByDepth">The terms of all depths.</param>
    /// <returns>
    /// A scalar in nats with gradients to the confidence output alone; without positions it is zero. Null for a head without such an
    /// output.
    /// </returns>
    public static Tensor? Compute(IReadOnlyList<DistillationTerms> termsByDepth)
    {
        if (termsByDepth[0].Confidence is null) return null;
        using var scope = NewDisposeScope();
        var logits = cat([.. termsByDepth.Select(terms => terms.Confidence!)], 0);
        var accepted = cat([.. termsByDepth.Select(terms => terms.Accepted)], 0);
        var losses = nn.functional.binary_cross_entropy_with_logits(logits, accepted, reduction: nn.Reduction.None);
        return (losses.numel() == 0 ? losses.sum() : losses.mean()).MoveToOuterDisposeScope();
    }
}
