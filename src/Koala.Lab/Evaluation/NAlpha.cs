using Koala.Lab.Decoding;
using Koala.Lab.Heads;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Evaluation;

/// <summary>
/// n-alpha, EAGLE's measure (arXiv 2401.15077): acceptance of the token drafted after n drafted ones, on a chain. The head is given the right tokens and,
/// in place of the target's features, its own of n steps; every place of an answer counts, whatever was accepted there.
/// </summary>
public static class NAlpha
{
    /// <summary>n is 0 to 4.</summary>
    public const int Steps = 5;

    // A step of so many rows costs little more than one of one.
    private const int Together = 16;

    /// <summary>0-alpha, 1-alpha …, pooled over answers.</summary>
    /// <param name="target">The target.</param>
    /// <param name="source">What drafts.</param>
    /// <param name="answers">The target's own.</param>
    /// <param name="options">Greedy: the share of places where the head's best token is the answer's. Sampling: the mean of Σ min(p, q). Null: greedy.</param>
    /// <param name="cancel">Looked at between places.</param>
    /// <returns>At most five, as many as it can draft in a row; none for what drafts without a distribution, as prompt lookup does, and where no answer has two tokens.</returns>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static IReadOnlyList<double> Of(Target target, IDraftSource source, IReadOnlyList<Generation> answers, GenerationOptions? options = null, CancellationToken cancel = default) =>
        Rates(Count(target, source, answers, options ?? new GenerationOptions(), cancel));

    internal static IReadOnlyList<double> Rates(IEnumerable<NAlphaCounts> counts)
    {
        NAlphaCounts[] all = [.. counts];
        return [.. Enumerable.Range(0, Steps).Select(n => (Accepted: all.Sum(c => c.Accepted[n]), Judged: all.Sum(c => c.Judged[n]))).TakeWhile(x => x.Judged > 0).Select(x => x.Accepted / x.Judged)];
    }

    /// <summary>The counts of each answer.</summary>
    internal static IReadOnlyList<NAlphaCounts> Count(Target target, IDraftSource source, IReadOnlyList<Generation> answers, GenerationOptions options, CancellationToken cancel)
    {
        using var _ = no_grad();
        return [.. answers.Chunk(Together).SelectMany(group => CountGroup(target, source, group, options, cancel))];
    }

    private static NAlphaCounts[] CountGroup(Target target, IDraftSource source, Generation[] answers, GenerationOptions options, CancellationToken cancel)
    {
        using var scope = NewDisposeScope();
        NAlphaCounts[] counts = [.. answers.Select(_ => new NAlphaCounts())];
        int[][] texts = [.. answers.Select(a => (int[])[.. a.PromptTokens, .. a.Tokens])];
        using var drafter = source.NewDrafter(target, answers.Length, texts.Max(text => text.Length) + Steps);
        if (drafter is not LevelDrafter levels) return counts;

        var (hidden, features) = Read(target, source, texts);
        // Rows of states, [B,n], at places of each text; beyond its end its last one.
        Tensor Rows(Tensor states, Func<int, int> place) => states.flatten(0, 1).index_select(0,
            tensor(texts.Select((text, b) => b * states.shape[1] + Math.Min(place(b), text.Length - 1)).ToArray(), device: target.Device));
        for (var i = 0; ; i++)
        {
            // The root is the answer's token i; what comes after it is guessed.
            bool Guessed(int b, int n) => answers[b].PromptTokens.Count + i + 1 + n < texts[b].Length;
            int Root(int b) => answers[b].PromptTokens.Count + i;
            if (!Enumerable.Range(0, texts.Length).Any(b => Guessed(b, 0))) return counts;
            cancel.ThrowIfCancellationRequested();
            using var step = NewDisposeScope();
            int[][] committed = [.. texts.Select((text, b) => Guessed(b, 0) ? text[(i == 0 ? 0 : Root(b) - 1)..(Root(b) + 1)] : [])];
            levels.CatchUp(i == 0 ? features.narrow(1, 0, answers.Max(a => a.PromptTokens.Count)) : Rows(features, b => Root(b) - 1).unsqueeze(1), committed);
            for (var n = 0; n < Math.Min(Steps, source.MaxDraftLength) && Enumerable.Range(0, texts.Length).Any(b => Guessed(b, n)); n++)
            {
                var q = n == 0 ? levels.First() : levels.Next([.. texts.Select((text, b) => new[] { text[Math.Min(Root(b) + n, text.Length - 1)] })], [.. texts.Select(_ => new int[1])]);
                var accepted = options.Temperature == 0
                    ? Best(q, levels.Vocabulary).Select((token, b) => Guessed(b, n) && token == texts[b][Root(b) + 1 + n] ? 1.0 : 0).ToArray()
                    : Common(target.Logits(Rows(hidden, b => Root(b) + n)), q, levels.Vocabulary, options);
                for (var b = 0; b < texts.Length; b++)
                    if (Guessed(b, n)) counts[b].Add(n, accepted[b]);
            }
        }
    }

    // Hidden states and features of whole texts, in pieces as prompts are read.
    private static (Tensor Hidden, Tensor Features) Read(Target target, IDraftSource source, int[][] texts)
    {
        using var scope = NewDisposeScope();
        var longest = texts.Max(text => text.Length);
        using var cache = target.NewCache(texts.Length, longest);
        var (hidden, features) = (new List<Tensor>(), new List<Tensor>());
        for (var start = 0; start < longest; start += Target.PromptPiece)
        {
            var piece = target.Append(cache, [.. texts.Select(text => text.Skip(start).Take(Target.PromptPiece).ToArray())], null, source.FeatureLayers);
            hidden.Add(piece.Hidden);
            features.Add(piece.Features);
        }
        return (cat(hidden, 1).MoveToOuterDisposeScope(), cat(features, 1).MoveToOuterDisposeScope());
    }

    private static IEnumerable<int> Best(Tensor logits, DraftVocabulary? vocabulary) =>
        logits.argmax(-1).cpu().data<long>().ToArray().Select(token => vocabulary?.Tokens[(int)token] ?? (int)token);

    // What a drawn candidate is accepted with: Σ min(p, q) over the head's vocabulary.
    private static double[] Common(Tensor target, Tensor head, DraftVocabulary? vocabulary, GenerationOptions options)
    {
        using var scope = NewDisposeScope();
        var (p, q) = (Distributions.Rows(target, options), Distributions.Rows(head, options));
        if (vocabulary is not null) p = p.index_select(1, tensor(vocabulary.Tokens.Select(token => (long)token).ToArray(), device: p.device));
        return [.. minimum(p, q).sum(-1).cpu().data<float>().ToArray().Select(x => (double)x)];
    }
}

/// <summary>How many tokens were judged after n drafted ones, and how many accepted; when sampling, expected.</summary>
internal sealed class NAlphaCounts
{
    public double[] Accepted { get; } = new double[NAlpha.Steps];

    public long[] Judged { get; } = new long[NAlpha.Steps];

    public void Add(int n, double accepted)
    {
        Accepted[n] += accepted;
        Judged[n]++;
    }
}
