using Koala.Lab.Heads.Learning;
using static TorchSharp.torch;

namespace Koala.Lab.Training;

/// <summary>
/// A supervised loss: how far a head's predictions at one depth are from the target. Others add theirs by <see cref="LossRegistry.Register"/>.
/// </summary>
public sealed class TrainingLoss
{
    private readonly Func<DistillationTerms, Tensor> _perPosition;

    internal TrainingLoss(Func<DistillationTerms, Tensor> perPosition, bool ofFeatures = false)
    {
        _perPosition = perPosition;
        OfFeatures = ofFeatures;
    }

    /// <summary>Whether it compares features and not distributions: heads that predict none cannot be trained with it.</summary>
    public bool OfFeatures { get; }

    /// <summary>
    /// The mean over the positions that count, a scalar with gradients; nats, where it is a difference of distributions. A batch may have
    /// no such position: the mean of nothing is then zero, and every parameter keeps its part in it.
    /// </summary>
    public Tensor Compute(DistillationTerms terms)
    {
        using var scope = NewDisposeScope();
        var losses = _perPosition(terms);
        return (losses.numel() == 0 ? losses.sum() : losses.mean()).MoveToOuterDisposeScope();
    }
}
