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

    /// <summary>Rows of the step that stay: the root's and those of the kept candidates.</summary>
    public IReadOnlyList<int> Rows => [0, .. Path.Select(i => i + 1)];
}

/// <summary>A rule that keeps the output the target's own. After "Fast Inference from Transformers via Speculative Decoding" (arXiv 2211.17192).</summary>
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

    public static Acceptance For(GenerationOptions options) => options switch
    {
        { Temperature: 0 } => new GreedyAcceptance(options),
        { Acceptance: AcceptanceRule.Typical } => new TypicalAcceptance(options),
        _ => new SamplingAcceptance(options),
    };

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
        for (var child = node + 1; child < draft.Candidates.Count; child++)
        {
            var candidate = draft.Candidates[child];
            if (candidate.Parent != node) continue;
            var massP = Sum(p);
            if (candidate.Distribution is null)
            {
                if (random.NextDouble() * massP < p[candidate.Token]) return child;
                p = Without(p, candidate.Token);
                continue;
            }
            q ??= candidate.Distribution;
            var massQ = Sum(q);
            if (random.NextDouble() * (q[candidate.Token] / massQ) < p[candidate.Token] / massP) return child;
            p = Residual(p, q, massP, massQ);
            q = Without(q, candidate.Token);
        }
        return null;
    }

    private static double Sum(float[] weights)
    {
        var sum = 0.0;
        foreach (var weight in weights) sum += weight;
        return sum;
    }

    private static float[] Without(float[] weights, int token)
    {
        var left = (float[])weights.Clone();
        left[token] = 0;
        // All zero only where the token had it all: it is rejected with probability zero then, by rounding alone.
        return left.AsSpan().ContainsAnyExcept(0) ? left : weights;
    }

    // max(0, p - q), both normalised. All zero only when p = q, where a rejection has probability zero and comes from rounding: then p itself is right.
    private static float[] Residual(float[] p, float[] q, double massP, double massQ)
    {
        var left = new float[p.Length];
        for (var i = 0; i < left.Length; i++) left[i] = (float)Math.Max(0, p[i] / massP - q[i] / massQ);
        return left.AsSpan().ContainsAnyExcept(0) ? left : p;
    }
}

/// <summary>
/// Keeps every candidate that the target holds likely enough, p &gt; min(ε, δ·exp(-H(p))), and of the paths that are kept whole the longest, of those
/// the likeliest. <b>Not lossless</b>: tokens have not the distribution p.
/// </summary>
/// <remarks>Typical acceptance of Medusa (arXiv 2401.10774, section 2.3.1), ε 0.09 and δ 0.3 as in its code. The bonus token is drawn from p.</remarks>
internal sealed class TypicalAcceptance(GenerationOptions options) : Acceptance
{
    private const double Epsilon = 0.09;
    private const double Delta = 0.3;

    public override IReadOnlyList<Scores> Score(Tensor logits) => [.. ByEach(logits, options).Select(p => new Scores(null, p))];

    public override Verdict Judge(Scores scores, Draft draft, RandomSource random)
    {
        var p = scores.P!;
        // Of the root and each candidate: its depth where its path is kept, else -1; the path's log-probability; the threshold for its children.
        var (depths, logs, thresholds) = (new int[p.Length], new double[p.Length], new double?[p.Length]);
        var best = 0;
        for (var row = 1; row < p.Length; row++)
        {
            var candidate = draft.Candidates[row - 1];
            var (parent, likely) = (candidate.Parent + 1, (double)p[candidate.Parent + 1][candidate.Token]);
            depths[row] = depths[parent] >= 0 && likely > (thresholds[parent] ??= Threshold(p[parent])) ? depths[parent] + 1 : -1;
            logs[row] = logs[parent] + Math.Log(likely);
            if (depths[row] > depths[best] || (depths[row] == depths[best] && logs[row] > logs[best])) best = row;
        }
        var path = new List<int>();
        for (var row = best; row > 0; row = draft.Candidates[row - 1].Parent + 1) path.Insert(0, row - 1);
        return new Verdict(path, Draw.From(p[best], random));
    }

    private static double Threshold(float[] p)
    {
        var entropy = 0.0;
        foreach (var x in p) entropy -= x * Math.Log(x + 1e-5);
        return Math.Min(Epsilon, Delta * Math.Exp(-entropy));
    }
}
