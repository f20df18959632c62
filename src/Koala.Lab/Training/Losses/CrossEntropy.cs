using Koala.Lab.Heads;
using static TorchSharp.torch;

namespace Koala.Lab.Training.Losses;

/// <summary>Cross-entropy against the token that the text has; places where that is outside of the head's vocabulary do not count.</summary>
internal sealed class CrossEntropy : TrainingLoss
{
    public override Tensor Of(Judgement at)
    {
        using var scope = NewDisposeScope();
        var known = at.Truth.ge(0).nonzero().view(-1);
        var logits = at.Logits.index_select(0, known);
        return Mean(logits.logsumexp(-1) - logits.gather(1, at.Truth.index_select(0, known).unsqueeze(1)).squeeze(1)).MoveToOuterDisposeScope();
    }
}
