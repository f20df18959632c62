using Koala.Lab.Heads;
using static TorchSharp.torch;

namespace Koala.Lab.Training.Losses;

/// <summary>Jensen-Shannon divergence, at most log 2: what an ideal adversary over distributions would play for (arXiv 1406.2661, section 4).</summary>
internal sealed class JensenShannon : TrainingLoss
{
    public override Tensor Of(Judgement at)
    {
        using var scope = NewDisposeScope();
        // Both may round to zero; their terms are then zero, whatever the logarithm.
        var middle = ((at.P + at.Q) / 2).clamp_min(1e-30).log();
        return Mean(((at.P * (at.LogP - middle)) + (at.Q * (at.LogQ - middle))).sum(-1) / 2).MoveToOuterDisposeScope();
    }
}
