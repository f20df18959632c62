using Koala.Lab.Heads.Learning;
using static TorchSharp.torch;

namespace Koala.Lab.Training;

/// <summary>A supervised loss: how far a head's output at one depth is from the target's.</summary>
/// <remarks><see cref="LossRegistry.Register"/> adds further losses.</remarks>
public sealed class TrainingLoss
{
    private readonly Func<DistillationTerms, Tensor> _perPosition;
    private readonly Func<DistillationTerms, Tensor>? _counts;

    /// <param name="perPosition">The loss at each position that counts.</param>
    /// <param name="ofFeatures">Whether it compares features.</param>
    /// <param name="counts">The indices of the positions that count for this loss; null means all N of the terms.</param>
    internal TrainingLoss(
        Func<DistillationTerms, Tensor> perPosition, bool ofFeatures = false, Func<DistillationTerms, Tensor>? counts = null)
    {
        (_perPosition, _counts) = (perPosition, counts);
        OfFeatures = ofFeatures;
    }

    /// <summary>
    /// Whether the loss compares features instead of distributions. A head that predicts no features cannot be trained
    /// with it.
    /// </summary>
    public bool OfFeatures { get; }

    /// <summary>Whether there is a position that counts, so that the loss is a mean over something.</summary>
    internal bool HasPositions(DistillationTerms terms) => (OfFeatures ? terms.Features : terms.Logits).shape[0] > 0;

    /// <summary>Computes the mean loss over the positions that count.</summary>
    /// <param name="terms">The terms of a depth.</param>
    /// <param name="firstErrorFocus">
    /// The additional weight of positions where a chain makes its first error; see
    /// <see cref="TrainingOptions.FirstErrorFocus"/>. The mean is weighted.
    /// </param>
    /// <returns>
    /// A scalar with gradients, in nats if the loss is a difference of distributions. If no position of the batch
    /// counts, the result is zero and still has gradients to every parameter.
    /// </returns>
    public Tensor Compute(DistillationTerms terms, double firstErrorFocus = 0)
    {
        using var scope = NewDisposeScope();
        var losses = _perPosition(terms);
        if (losses.numel() == 0) return losses.sum().MoveToOuterDisposeScope();
        if (firstErrorFocus == 0) return losses.mean().MoveToOuterDisposeScope();
        var weights = 1 + terms.FirstErrors(OfFeatures).to(ScalarType.Float32) * firstErrorFocus;
        if (_counts is not null) weights = weights.index_select(0, _counts(terms));
        return ((weights * losses).sum() / weights.sum()).MoveToOuterDisposeScope();
    }
}
