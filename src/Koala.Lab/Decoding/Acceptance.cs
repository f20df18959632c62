using Koala.Lab.Heads;
using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Decoding;

/// <summary>What the target says at the root and at each candidate, on the host: row 0 is the root, row i+1 candidate i.</summary>
/// <param name="Best">The likeliest token of each row; greedy only.</param>
/// <param name="P">The distribution of each row; sampling, and full traces.</param>
internal sealed record Scores(int[]? Best, float[][]? P);

/// <summary>How many candidates of a chain are kept, and the target's own token after them.</summary>
internal readonly record struct Verdict(int Accepted, int Bonus);

/// <summary>A rule that keeps the output the target's own. After "Fast Inference from Transformers via Speculative Decoding" (arXiv 2211.17192).</summary>
internal abstract class Acceptance
{
    /// <summary>Brings to the host what the rule needs; the one synchronisation of a round's target step.</summary>
    /// <param name="logits">The target's, [1 + candidates, V].</param>
    public abstract Scores Score(Tensor logits);

    /// <summary>Keeps the candidates one after another until one fails.</summary>
    public abstract Verdict Judge(Scores scores, Draft draft);

    public static Acceptance For(GenerationOptions options, RandomSource random) =>
        options.Temperature == 0 ? new GreedyAcceptance(options) : new SamplingAcceptance(options, random);
}

/// <summary>Keeps a candidate that is the target's best token.</summary>
internal sealed class GreedyAcceptance(GenerationOptions options) : Acceptance
{
    public override Scores Score(Tensor logits)
    {
        using var scope = NewDisposeScope();
        var best = logits.argmax(-1).cpu().data<long>();
        return new Scores([.. best.Select(token => (int)token)], options.FullTrace ? Distributions.Of(logits, options) : null);
    }

    public override Verdict Judge(Scores scores, Draft draft)
    {
        var best = scores.Best!;
        var accepted = 0;
        while (accepted < draft.Candidates.Count && draft.Candidates[accepted].Token == best[accepted]) accepted++;
        return new Verdict(accepted, best[accepted]);
    }
}

/// <summary>
/// Keeps a drawn candidate with probability min(1, p/q) and a chosen one with probability p; after a rejection the bonus token is drawn
/// from what is left of p. Tokens then have exactly the distribution p.
/// </summary>
internal sealed class SamplingAcceptance(GenerationOptions options, RandomSource random) : Acceptance
{
    public override Scores Score(Tensor logits) => new(null, Distributions.Of(logits, options));

    public override Verdict Judge(Scores scores, Draft draft)
    {
        for (var i = 0; i < draft.Candidates.Count; i++)
        {
            var (p, candidate) = (scores.P![i], draft.Candidates[i]);
            var q = candidate.Distribution is { } drawnFrom ? drawnFrom[candidate.Token] : 1f;
            if (random.NextDouble() * q >= p[candidate.Token]) return new Verdict(i, Draw.From(Residual(p, candidate), random));
        }
        return new Verdict(draft.Candidates.Count, Draw.From(scores.P![draft.Candidates.Count], random));
    }

    // max(0, p - q); with a chosen candidate q is one at its token. All zero only when p = q, where a rejection has probability
    // zero and comes from rounding: then p itself is right.
    private static float[] Residual(float[] p, Candidate candidate)
    {
        var left = (float[])p.Clone();
        if (candidate.Distribution is { } q)
            for (var i = 0; i < left.Length; i++) left[i] = Math.Max(0, p[i] - q[i]);
        else
            left[candidate.Token] = 0;
        return left.Any(x => x > 0) ? left : p;
    }
}
