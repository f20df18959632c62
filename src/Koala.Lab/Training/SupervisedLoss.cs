using Koala.Lab.Heads;
using static TorchSharp.torch;

namespace Koala.Lab.Training;

/// <summary>Cross-entropy of each depth, and their sum with weights 1, decay, decay² …</summary>
internal sealed class SupervisedLoss(Labels labels, double decay)
{
    /// <returns>The weighted sum, a scalar with gradients, and each depth's own mean, [depths] without.</returns>
    public (Tensor Total, Tensor ByDepth) Of(IReadOnlyList<Prediction> predictions, TrainingBatch batch)
    {
        using var scope = NewDisposeScope();
        var losses = predictions.Select(p => CrossEntropy(p, batch)).ToArray();
        var total = losses.Select((loss, i) => loss * Math.Pow(decay, i)).Aggregate((a, b) => a + b);
        return (total.MoveToOuterDisposeScope(), stack(losses).detach().MoveToOuterDisposeScope());
    }

    /// <summary>Mean over the places of one depth, in nats.</summary>
    public Tensor CrossEntropy(Prediction prediction, TrainingBatch batch)
    {
        using var scope = NewDisposeScope();
        // No place of this depth in the batch: nothing to learn, but every parameter keeps its part in the loss.
        if (prediction.Judges.shape[0] == 0) return prediction.Logits.sum().MoveToOuterDisposeScope();
        var loss = labels == Labels.Hard
            ? nn.functional.cross_entropy(prediction.Logits, Truth(prediction, batch))
            // -Σ p·log q with Σ p = 1.
            : (prediction.Logits.logsumexp(-1) - (batch.Probabilities.index_select(0, prediction.Judges) * prediction.Logits).sum(-1)).mean();
        return loss.MoveToOuterDisposeScope();
    }

    /// <summary>The token that the text has at each place, [N].</summary>
    public static Tensor Truth(Prediction prediction, TrainingBatch batch) => batch.Tokens.view(-1).index_select(0, prediction.Judges + 1);
}
