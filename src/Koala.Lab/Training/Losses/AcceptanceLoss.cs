using Koala.Lab.Heads;
using static TorchSharp.torch;

namespace Koala.Lab.Training.Losses;

/// <summary>-log Σ min(p, q): total variation's aim, with a gradient that does not vanish for a bad head (LK losses, arXiv 2602.23881).</summary>
internal sealed class AcceptanceLoss : TrainingLoss
{
    public override Tensor Of(Judgement at)
    {
        using var scope = NewDisposeScope();
        return Mean(-at.Acceptance.clamp_min(1e-30).log()).MoveToOuterDisposeScope();
    }
}
