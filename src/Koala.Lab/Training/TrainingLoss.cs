using Koala.Lab.Heads.Learning;
using static TorchSharp.torch;

namespace Koala.Lab.Training;

/// <summary>A supervised loss: how far a head's output at one depth is from the target's.</summary>
/// <remarks><see cref="LossRegistry.Register"/> adds further losses.</remarks>
public sealed class TrainingLoss
{
    private readonly Func<DistillationTerms, Tensor> _perPosition;

    internal TrainingLoss(Func<DistillationTerms, Tensor> perPosition, bool ofFeatures = false)
    {
        _perPosition = perPosition;
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
    /// <returns>
    /// A scalar with gradients, in nats if the loss is a difference of distributions. If no position of the batch
    /// counts, the result is zero and still has gradients to every parameter.
    /// </returns>
    public Tensor Compute(DistillationTerms terms)
    {
        using var scope = NewDisposeScope();
        var losses = _perPosition(terms);
        return (losses.numel() == 0 ? losses.sum() : losses.mean()).MoveToOuterDisposeScope();
    }
}
