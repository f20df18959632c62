using Koala.Lab.Heads;
using static TorchSharp.torch;

namespace Koala.Lab.Training.Losses;

/// <summary>Smooth L1 between the head's features and the target's, averaged over their width.</summary>
/// <remarks>After EAGLE (arXiv 2401.15077, section 3.2).</remarks>
internal sealed class SmoothL1 : TrainingLoss
{
    public override bool OfFeatures => true;

    public override Tensor Of(Judgement at)
    {
        using var scope = NewDisposeScope();
        return Mean(nn.functional.smooth_l1_loss(at.Features, at.TargetFeatures, nn.Reduction.None).mean([-1])).MoveToOuterDisposeScope();
    }
}
