using Koala.Lab.Heads;
using static TorchSharp.torch;

namespace Koala.Lab.Training;

/// <summary>A supervised loss: how far a head's predictions at one depth are from the target. Others add theirs by <see cref="LossKinds.Register"/>.</summary>
public abstract class TrainingLoss
{
    /// <summary>Whether it compares features and not distributions: heads that predict none cannot be trained with it. Default false.</summary>
    public virtual bool OfFeatures => false;

    /// <summary>The mean over the places that count, a scalar with gradients. Nats, where it is a difference of distributions.</summary>
    public abstract Tensor Of(Judgement at);

    /// <summary>The mean over places. A batch may have none; the mean of nothing is then zero, and every parameter keeps its part in it.</summary>
    /// <param name="byPlace">[N].</param>
    protected static Tensor Mean(Tensor byPlace) => byPlace.numel() == 0 ? byPlace.sum() : byPlace.mean();
}
