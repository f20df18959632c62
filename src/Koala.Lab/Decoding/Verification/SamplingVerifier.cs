using Koala.Lab.Decoding.Sampling;
using Koala.Lab.Drafting;
using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Decoding.Verification;

/// <summary>
/// Keeps a drawn candidate with probability min(1, p/q) and a chosen one with probability p; after a rejection p is what is left of it, for
/// the next sibling and at last for the bonus token. Tokens then have exactly the distribution p.
/// </summary>
/// <remarks>
/// One drawn candidate: speculative sampling (arXiv 2211.17192). Several, drawn without replacement: the multi-round form, where q loses
/// what was rejected (EAGLE, arXiv 2401.15077). Chosen ones: q is one at the candidate.
/// </remarks>
internal sealed class SamplingVerifier(GenerationOptions options) : Verifier
{
    public override IReadOnlyList<TargetDistributions> Score(Tensor logits) => [.. ByEach(logits, options).Select(p => new TargetDistributions(null, p))];

    public override AcceptedPath Verify(TargetDistributions distributions, Draft draft, RandomSource random)
    {
        var path = new List<int>();
        var (node, p) = (-1, distributions.P![0]);
        while (Keep(draft, node, ref p, random) is { } kept)
        {
            path.Add(kept);
            (node, p) = (kept, distributions.P[kept + 1]);
        }
        return new AcceptedPath(path, TokenDraw.Sample(p, random));
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

    // max(0, p - q), both normalised. All zero only when p = q, where a rejection has probability zero and comes from rounding: then p
    // itself is right.
    private static float[] Residual(float[] p, float[] q, double massP, double massQ)
    {
        var left = new float[p.Length];
        for (var i = 0; i < left.Length; i++) left[i] = (float)Math.Max(0, p[i] / massP - q[i] / massQ);
        return left.AsSpan().ContainsAnyExcept(0) ? left : p;
    }
}
