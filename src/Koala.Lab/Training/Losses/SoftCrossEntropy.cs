using Koala.Lab.Heads;
using static TorchSharp.torch;

namespace Koala.Lab.Training.Losses;

/// <summary>Cross-entropy against the target's distribution: -Σ p·log q.</summary>
internal sealed class SoftCrossEntropy : TrainingLoss
{
    public override Tensor Of(Judgement at)
    {
        using var scope = NewDisposeScope();
        // Σ p = 1; so log q, as large as the logits, is never made.
        return Mean(at.Logits.logsumexp(-1) - (at.P * at.Logits).sum(-1)).MoveToOuterDisposeScope();
    }
}
