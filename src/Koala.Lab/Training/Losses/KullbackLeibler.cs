using Koala.Lab.Heads;
using static TorchSharp.torch;

namespace Koala.Lab.Training.Losses;

/// <summary>Kullback-Leibler divergence of the head from the target: Σ p·(log p - log q).</summary>
internal sealed class KullbackLeibler : TrainingLoss
{
    public override Tensor Of(Judgement at)
    {
        using var scope = NewDisposeScope();
        return Mean((at.P * (at.LogP - at.LogQ)).sum(-1)).MoveToOuterDisposeScope();
    }
}
