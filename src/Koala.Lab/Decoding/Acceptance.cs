using Koala.Lab.Heads;
using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Decoding;

/// <summary>What the target says at the root and at each candidate of a sequence, on the host: row 0 is the root, row i+1 candidate i.</summary>
/// <param name="Best">The likeliest token of each row; greedy only.</param>
/// <param name="P">The distribution of each row; sampling, and full traces.</param>
internal sealed record Scores(int[]? Best, float[][]? P);

/// <summary>Which candidates are kept and the target's own token after them.</summary>
/// <param name="Path">Indices of the kept candidates, the root's child first; each is a child of the one before.</param>
/// <param name="Bonus">The target's own token.</param>
internal readonly record struct Verdict(IReadOnlyList<int> Path, int Bonus)
{
    /// <summary>Candidates kept.</summary>
    public int Accepted => Path.Count;
}

/// <summary>A rule for keeping candidates; all but the typical one keep the output the target's own. After "Fast Inference from Transformers via Speculative Decoding" (arXiv 2211.17192).</summary>
internal abstract class Acceptance
{
    /// <summary>Brings to the host what the rule needs; the one synchronisation of a round's target step.</summary>
    /// <param name="logits">The target's, [B,T,V].</param>
    /// <returns>Of each sequence, T rows.</returns>
    public abstract IReadOnlyList<Scores> Score(Tensor logits);

    /// <summary>Goes down from the root, keeping a child at a time, until none passes.</summary>
    /// <param name="scores">Of the sequence.</param>
    /// <param name="draft">Its candidates.</param>
    /// <param name="random">Its generator.</param>
    public abstract Verdict Judge(Scores scores, Draft draft, RandomSource random);

    public static Acceptance For(GenerationOptions options) => (options.Temperature, options.Acceptance) switch
    {
        (0, _) => new GreedyAcceptance(options),
        (_, AcceptanceRule.Typical) => new TypicalAcceptance(options),
        _ => new SamplingAcceptance(options),
    };

    /// <summary>The children of a node in the order they are judged.</summary>
    protected static IEnumerable<int> Children(Draft draft, int node) =>
        Enumerable.Range(node + 1, draft.Candidates.Count - node - 1).Where(i => draft.Candidates[i].Parent == node);

    /// <summary>Rows [B,T,V] on the host, by sequence.</summary>
    protected static float[][][] ByEach(Tensor logits, GenerationOptions options) =>
        [.. Distributions.Of(logits.flatten(0, 1), options).Chunk((int)logits.shape[1])];
}

/// <summary>Keeps a candidate that is the target's best token.</summary>
internal sealed class GreedyAcceptance(GenerationOptions options) : Acceptance
{
    public override IReadOnlyList<Scores> Score(Tensor logits)
    {
        using var scope = NewDisposeScope();
        var best = logits.argmax(-1).cpu().data<long>().Select(token => (int)token).Chunk((int)logits.shape[1]).ToArray();
        var p = options.FullTrace ? ByEach(logits, options) : null;
        return [.. best.Select((rows, b) => new Scores(rows, p?[b]))];
    }

    public override Verdict Judge(Scores scores, Draft draft, RandomSource random)
    {
        var best = scores.Best!;
        var path = new List<int>();
        var node = -1;
        // Parents come before children: one look at each candidate is enough.
        for (var i = 0; i < draft.Candidates.Count; i++)
        {
            if (draft.Candidates[i].Parent != node || draft.Candidates[i].Token != best[node + 1]) continue;
            path.Add(i);
            node = i;
        }
        return new Verdict(path, best[node + 1]);
    }
}

/// <summary>
/// Keeps a drawn candidate with probability min(1, p/q) and a chosen one with probability p; after a rejection p is what is left of it, for the
/// next sibling and at last for the bonus token. Tokens then have exactly the distribution p.
/// </summary>
/// <remarks>
/// One drawn candidate: speculative sampling (arXiv 2211.17192). Several, drawn without replacement: the multi-round form, where q loses what was
/// rejected (EAGLE, arXiv 2401.15077). Chosen ones: q is one at the candidate.
/// </remarks>
internal sealed class SamplingAcceptance(GenerationOptions options) : Acceptance
{
    public override IReadOnlyList<Scores> Score(Tensor logits) => [.. ByEach(logits, options).Select(p => new Scores(null, p))];

    public override Verdict Judge(Scores scores, Draft draft, RandomSource random)
    {
        var path = new List<int>();
        var (node, p) = (-1, scores.P![0]);
        while (Keep(draft, node, ref p, random) is { } kept)
        {
            path.Add(kept);
            (node, p) = (kept, scores.P[kept + 1]);
        }
        return new Verdict(path, Draw.From(p, random));
    }

    // The child that is kept; null when none is, and p is then what is left of it. Neither p nor q needs to add up to one.
    private static int? Keep(Draft draft, int node, ref float[] p, RandomSource random)
    {
        float[]? q = null;
        foreach (var child in Children(draft, node))
        {
            var candidate = draft.Candidates[child];
            if (candidate.Distribution is null)
            {
                if (random.NextDouble() * p.Sum(x => (double)x) < p[candidate.Token]) return child;
                p = Without(p, candidate.Token);
                continue;
            }
            q ??= candidate.Distribution;
            var (massP, massQ) = (p.Sum(x => (double)x), q.Sum(x => (double)x));
            if (random.NextDouble() * (q[candidate.Token] / massQ) < p[candidate.Token] / massP) return child;
            p = Residual(p, q, massP, massQ);
            q = Without(q, candidate.Token);
        }
        return null;
    }

    private static float[] Without(float[] weights, int token)
    {
        var left = (float[])weights.Clone();
        left[token] = 0;
        // All zero only where the token had it all: it is rejected with probability zero then, by rounding alone.
        return left.Any(x => x > 0) ? left : weights;
    }

    // max(0, p - q), both normalised. All zero only when p = q, where a rejection has probability zero and comes from rounding: then p itself is right.
    private static float[] Residual(float[] p, float[] q, double massP, double massQ)
    {
        var left = new float[p.Length];
        for (var i = 0; i < left.Length; i++) left[i] = (float)Math.Max(0, p[i] / massP - q[i] / massQ);
        return left.Any(x => x > 0) ? left : p;
    }
}

/// <summary>
/// Keeps what is typical of the target, however the candidate came about: p(x) above min(0.09, 0.3·exp(-H(p))); of the paths that pass, the longest.
/// The output is not the target's own. After Medusa (arXiv 2401.10774, section 2.3.1), with its code's thresholds.
/// </summary>
internal sealed class TypicalAcceptance(GenerationOptions options) : Acceptance
{
    private const double Threshold = 0.09, Alpha = 0.3;

    public override IReadOnlyList<Scores> Score(Tensor logits) => [.. ByEach(logits, options).Select(p => new Scores(null, p))];

    public override Verdict Judge(Scores scores, Draft draft, RandomSource random)
    {
        var p = scores.P!;
        var length = new int[draft.Candidates.Count + 1];   // of the path to a node that passes with all before it, by row; -1: does not
        var bars = new double[length.Length];
        var best = -1;
        for (var i = 0; i < draft.Candidates.Count; i++)
        {
            var (token, above) = (draft.Candidates[i].Token, draft.Candidates[i].Parent + 1);
            if (bars[above] == 0) bars[above] = Math.Min(Threshold, Alpha * Math.Exp(-Entropy(p[above])));
            length[i + 1] = length[above] >= 0 && p[above][token] > bars[above] ? length[above] + 1 : -1;
            if (length[i + 1] > length[best + 1]) best = i;
        }
        var path = new List<int>();
        for (var node = best; node >= 0; node = draft.Candidates[node].Parent) path.Insert(0, node);
        return new Verdict(path, Draw.From(p[best + 1], random));
    }

    private static double Entropy(float[] p) => -p.Sum(x => x * Math.Log(x + 1e-5));
}
