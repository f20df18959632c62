using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Sampling;
using Koala.Lab.Drafting;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Evaluation.Acceptance;

/// <summary>
/// n-alpha, EAGLE's measure (arXiv 2401.15077): the acceptance of the token that a chain drafts after n drafted tokens. The head is given
/// the correct tokens, but has run n steps on its own features instead of the target's. Every position of an answer counts, whatever was
/// accepted there.
/// </summary>
public static class NAlpha
{
    /// <summary>The number of values of n, which is 0 to 4.</summary>
    public const int Steps = 5;

    /// <summary>Measures 0-alpha, 1-alpha …, pooled over answers.</summary>
    /// <param name="target">The target.</param>
    /// <param name="source">The draft source.</param>
    /// <param name="answers">The target's own answers.</param>
    /// <param name="options">
    /// The sampling options. When greedy, n-alpha is the share of positions at which the head's best token is the answer's; when sampling,
    /// it is the mean of Σ min(p, q). Null means greedy.
    /// </param>
    /// <param name="cancel">Checked between positions.</param>
    /// <returns>
    /// At most five values, one for each token that the source can draft in a row. The list is empty if the source drafts without a
    /// distribution, as prompt lookup does, or if no answer has two tokens.
    /// </returns>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static IReadOnlyList<double> Measure(
        Target target, IDraftSource source, IReadOnlyList<Generation> answers, GenerationOptions? options = null,
        CancellationToken cancel = default) =>
        Rates(Count(target, source, answers, options ?? new GenerationOptions(), cancel));

    internal static IReadOnlyList<double> Rates(IEnumerable<NAlphaCounts> counts)
    {
        NAlphaCounts[] all = [.. counts];
        var sums = Enumerable.Range(0, Steps).Select(n => (Accepted: all.Sum(c => c.Accepted[n]), Total: all.Sum(c => c.Total[n])));
        return [.. sums.TakeWhile(sum => sum.Total > 0).Select(sum => sum.Accepted / sum.Total)];
    }

    /// <summary>The counts of each answer.</summary>
    internal static IReadOnlyList<NAlphaCounts> Count(
        Target target, IDraftSource source, IReadOnlyList<Generation> answers, GenerationOptions options, CancellationToken cancel) =>
        [.. answers.Chunk(TeacherForcing.BatchSize).SelectMany(batch => CountBatch(target, source, batch, options, cancel))];

    private static NAlphaCounts[] CountBatch(
        Target target, IDraftSource source, Generation[] answers, GenerationOptions options, CancellationToken cancel)
    {
        NAlphaCounts[] counts = [.. answers.Select(_ => new NAlphaCounts())];
        TeacherForcing.Run(target, source, answers, Steps, step =>
        {
            var accepted = options.Temperature == 0
                ? BestTokens(step.Logits, step.Drafter.Vocabulary).Select((token, b) => token == step.Correct[b] ? 1.0 : 0).ToArray()
                : Overlap(step.TargetLogits(), step.Logits, step.Drafter.Vocabulary, options);
            var confidences = step.Drafter.Confidences(sampled: options.Temperature > 0);
            for (var b = 0; b < answers.Length; b++)
            {
                if (step.Correct[b] is null) continue;
                counts[b].Add(step.Drafted, accepted[b]);
                if (confidences is not null) counts[b].Calibration.Add(confidences[b], accepted[b]);
            }
            return true;
        }, cancel);
        return counts;
    }

    private static IEnumerable<int> BestTokens(Tensor logits, DraftVocabulary? vocabulary)
    {
        var best = logits.argmax(-1).cpu().data<long>().ToArray();
        return best.Select(token => vocabulary?.Tokens[(int)token] ?? (int)token);
    }

    // The probability with which a sampled candidate is accepted: Σ min(p, q) over the head's vocabulary.
    private static double[] Overlap(Tensor target, Tensor head, DraftVocabulary? vocabulary, GenerationOptions options)
    {
        using var scope = NewDisposeScope();
        var (p, q) = (Distributions.RowsFromLogits(target, options), Distributions.RowsFromLogits(head, options));
        if (vocabulary is not null)
        {
            var tokens = vocabulary.Tokens.Select(token => (long)token).ToArray();
            p = p.index_select(1, tensor(tokens, device: p.device));
        }
        var sums = minimum(p, q).sum(-1).cpu().data<float>().ToArray();
        return [.. sums.Select(sum => (double)sum)];
    }
}

/// <summary>
/// For each n, the number of tokens that were verified after n drafted tokens, and the number of them that were accepted. When sampling,
/// the latter is the expected number.
/// </summary>
internal sealed class NAlphaCounts
{
    public double[] Accepted { get; } = new double[NAlpha.Steps];

    public long[] Total { get; } = new long[NAlpha.Steps];

    /// <summary>The same tokens by the head's confidence; empty for a head without a confidence output.</summary>
    public CalibrationCounts Calibration { get; } = new();

    public void Add(int n, double accepted)
    {
        Accepted[n] += accepted;
        Total[n]++;
    }
}
