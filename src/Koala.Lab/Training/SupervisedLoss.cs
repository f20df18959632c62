using Koala.Lab.Heads.Learning;
using static TorchSharp.torch;

namespace Koala.Lab.Training;

/// <summary>The supervised loss of a training: the weighted sum of its losses over all depths.</summary>
internal sealed class SupervisedLoss
{
    private readonly IReadOnlyList<LossTerm> _terms;
    private readonly TrainingLoss[] _losses;
    private readonly double _firstErrorFocus;

    public SupervisedLoss(IReadOnlyList<LossTerm> terms, double firstErrorFocus = 0)
    {
        (_terms, _firstErrorFocus) = (terms, firstErrorFocus);
        _losses = [.. terms.Select(term => LossRegistry.Find(term.Name))];
    }

    // The metrics report one term by depth: the first one that compares distributions.
    private int ReportedTerm => Math.Max(Array.FindIndex(_losses, loss => !loss.OfFeatures), 0);

    /// <summary>Computes Σ weight·decay^depth·loss over all terms and depths.</summary>
    /// <returns>
    /// Total: the weighted sum, a scalar with gradients. Each: the loss of each term and depth, [terms,depths] without
    /// gradients, NaN where no position counts.
    /// </returns>
    public (Tensor Total, Tensor Each) Compute(IReadOnlyList<DistillationTerms> termsByDepth)
    {
        using var scope = NewDisposeScope();
        var losses = _losses.Select(loss => termsByDepth.Select(terms => loss.Compute(terms, _firstErrorFocus)).ToArray())
            .ToArray();
        Tensor? total = null;
        for (var term = 0; term < losses.Length; term++)
        {
            for (var depth = 0; depth < losses[term].Length; depth++)
            {
                var weighted = losses[term][depth] * (_terms[term].Weight * Math.Pow(_terms[term].Decay, depth));
                total = total is null ? weighted : total + weighted;
            }
        }
        var each = stack([.. losses.Select((byDepth, term) => stack(byDepth.Select((loss, depth) =>
            _losses[term].HasPositions(termsByDepth[depth]) ? loss.detach() : full_like(loss, double.NaN).detach())))]);
        return (total!.MoveToOuterDisposeScope(), each.MoveToOuterDisposeScope());
    }

    /// <summary>Adds the losses to the metrics of a step.</summary>
    /// <param name="metrics">The metrics of the step.</param>
    /// <param name="each">The losses that <see cref="Compute"/> returned.</param>
    public StepMetrics Report(StepMetrics metrics, Tensor each)
    {
        using var scope = NewDisposeScope();
        var values = each.cpu().data<float>().Select(x => (double)x).Chunk((int)each.shape[1]).ToArray();
        // Depths without a position add nothing; a loss without any has no value.
        double SumOverDepths(int term) => values[term].All(double.IsNaN)
            ? double.NaN
            : values[term].Select((loss, depth) => double.IsNaN(loss) ? 0 : loss * Math.Pow(_terms[term].Decay, depth)).Sum();
        return metrics with
        {
            LossByDepth = values[ReportedTerm],
            LossByName = [.. _terms.Select((term, i) => KeyValuePair.Create(term.Name, SumOverDepths(i)))],
        };
    }
}
