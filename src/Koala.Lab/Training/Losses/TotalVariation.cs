using Koala.Lab.Heads;
using static TorchSharp.torch;

namespace Koala.Lab.Training.Losses;

/// <summary>Expected rejection: 1 - Σ min(p, q).</summary>
internal sealed class TotalVariation : TrainingLoss
{
    public override Tensor Of(Judgement at)
    {
        using var scope = NewDisposeScope();
        return Mean(1 - at.Acceptance).MoveToOuterDisposeScope();
    }
}
