using Koala.Lab.Heads.Learning;
using static TorchSharp.torch;

namespace Koala.Lab.Training;

/// <summary>The weighted sum of a training's losses over depths.</summary>
internal sealed class SupervisedLoss
{
    private readonly IReadOnlyList<LossTerm> _terms;
    private readonly TrainingLoss[] _losses;

    public SupervisedLoss(IReadOnlyList<LossTerm> terms) => (_terms, _losses) = (terms, [.. terms.Select(term => LossRegistry.Create(term.Name))]);

    /// <summary>The number of the term that metrics show by depth: the first one of distributions.</summary>
    private int Shown => Math.Max(Array.FindIndex(_losses, loss => !loss.OfFeatures), 0);

    /// <returns>The weighted sum, a scalar with gradients, and the loss of each term and depth, [terms,depths] without.</returns>
    public (Tensor Total, Tensor Each) Compute(IReadOnlyList<DistillationTerms> termsByDepth)
    {
        using var scope = NewDisposeScope();
        var each = _losses.Select(loss => termsByDepth.Select(loss.Compute).ToArray()).ToArray();
        var total = each.SelectMany((losses, term) => losses.Select((loss, depth) => loss * (_terms[term].Weight * Math.Pow(_terms[term].Decay, depth)))).Aggregate((a, b) => a + b);
        return (total.MoveToOuterDisposeScope(), stack([.. each.Select(losses => stack(losses))]).detach().MoveToOuterDisposeScope());
    }

    /// <summary>What metrics say of them.</summary>
    /// <param name="metrics">Gains the losses.</param>
    /// <param name="each">As <see cref="Compute"/> gave them.</param>
    public StepMetrics Report(StepMetrics metrics, Tensor each)
    {
        using var scope = NewDisposeScope();
        var values = each.cpu().data<float>().Select(x => (double)x).Chunk((int)each.shape[1]).ToArray();
        return metrics with
        {
            LossByDepth = values[Shown],
            LossByName = _terms.Select((term, i) => KeyValuePair.Create(term.Name, values[i].Select((loss, depth) => loss * Math.Pow(term.Decay, depth)).Sum())).ToArray(),
        };
    }
}
