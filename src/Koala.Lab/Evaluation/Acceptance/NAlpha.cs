using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Sampling;
using Koala.Lab.Drafting;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Evaluation.Acceptance;

/// <summary>
/// n-alpha, EAGLE's measure (arXiv 2401.15077): acceptance of the token drafted after n drafted ones, on a chain. The head is given the right tokens and,
/// in place of the target's features, its own of n steps; every place of an answer counts, whatever was accepted there.
/// </summary>
public static class NAlpha
{
    /// <summary>n is 0 to 4.</summary>
    public const int Steps = 5;

    /// <summary>0-alpha, 1-alpha …, pooled over answers.</summary>
    /// <param name="target">The target.</param>
    /// <param name="source">What drafts.</param>
    /// <param name="answers">The target's own.</param>
    /// <param name="options">Greedy: the share of places where the head's best token is the answer's. Sampling: the mean of Σ min(p, q). Null: greedy.</param>
    /// <param name="cancel">Looked at between places.</param>
    /// <returns>At most five, as many as it can draft in a row; none for what drafts without a distribution, as prompt lookup does, and where no answer has two tokens.</returns>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static IReadOnlyList<double> Measure(Target target, IDraftSource source, IReadOnlyList<Generation> answers, GenerationOptions? options = null, CancellationToken cancel = default) =>
        Rates(Count(target, source, answers, options ?? new GenerationOptions(), cancel));

    internal static IReadOnlyList<double> Rates(IEnumerable<NAlphaCounts> counts)
    {
        NAlphaCounts[] all = [.. counts];
        return [.. Enumerable.Range(0, Steps).Select(n => (Accepted: all.Sum(c => c.Accepted[n]), Judged: all.Sum(c => c.Total[n]))).TakeWhile(x => x.Judged > 0).Select(x => x.Accepted / x.Judged)];
    }

    /// <summary>The counts of each answer.</summary>
    internal static IReadOnlyList<NAlphaCounts> Count(Target target, IDraftSource source, IReadOnlyList<Generation> answers, GenerationOptions options, CancellationToken cancel) =>
        [.. answers.Chunk(TeacherForcing.BatchSize).SelectMany(group => CountGroup(target, source, group, options, cancel))];

    private static NAlphaCounts[] CountGroup(Target target, IDraftSource source, Generation[] answers, GenerationOptions options, CancellationToken cancel)
    {
        NAlphaCounts[] counts = [.. answers.Select(_ => new NAlphaCounts())];
        TeacherForcing.Run(target, source, answers, Steps, step =>
        {
            var accepted = options.Temperature == 0
                ? Best(step.Logits, step.Drafter.Vocabulary).Select((token, b) => token == step.Correct[b] ? 1.0 : 0).ToArray()
                : Common(step.TargetLogits(), step.Logits, step.Drafter.Vocabulary, options);
            for (var b = 0; b < answers.Length; b++)
                if (step.Correct[b] is not null) counts[b].Add(step.Drafted, accepted[b]);
            return true;
        }, cancel);
        return counts;
    }

    private static IEnumerable<int> Best(Tensor logits, DraftVocabulary? vocabulary) =>
        logits.argmax(-1).cpu().data<long>().ToArray().Select(token => vocabulary?.Tokens[(int)token] ?? (int)token);

    // What a drawn candidate is accepted with: Σ min(p, q) over the head's vocabulary.
    private static double[] Common(Tensor target, Tensor head, DraftVocabulary? vocabulary, GenerationOptions options)
    {
        using var scope = NewDisposeScope();
        var (p, q) = (Distributions.RowsFromLogits(target, options), Distributions.RowsFromLogits(head, options));
        if (vocabulary is not null) p = p.index_select(1, tensor(vocabulary.Tokens.Select(token => (long)token).ToArray(), device: p.device));
        return [.. minimum(p, q).sum(-1).cpu().data<float>().ToArray().Select(x => (double)x)];
    }
}

/// <summary>How many tokens were judged after n drafted ones, and how many accepted; when sampling, expected.</summary>
internal sealed class NAlphaCounts
{
    public double[] Accepted { get; } = new double[NAlpha.Steps];

    public long[] Total { get; } = new long[NAlpha.Steps];

    public void Add(int n, double accepted)
    {
        Accepted[n] += accepted;
        Total[n]++;
    }
}
