using Koala.Lab.Decoding.Sampling;
using Koala.Lab.Drafting;
using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Decoding.Verification;

/// <summary>
/// Accepts a drawn candidate with probability min(1, p/q), and a candidate that was chosen without drawing with
/// probability p. After a rejection p becomes the rest of p, for the next sibling and finally for the bonus token.
/// Tokens then have exactly the distribution p.
/// </summary>
/// <remarks>
/// For one drawn candidate this is speculative sampling (arXiv 2211.17192). For several candidates that are drawn
/// without replacement it is the multi-round form, in which q loses what was rejected (EAGLE, arXiv 2401.15077). For a
/// chosen candidate q is one at its token.
/// </remarks>
internal sealed class SamplingVerifier(GenerationOptions options) : Verifier
{
    public override IReadOnlyList<TargetDistributions> Score(Tensor logits) =>
        [.. DistributionsBySequence(logits, options).Select(p => new TargetDistributions(null, p))];

    public override AcceptedPath Verify(TargetDistributions distributions, Draft draft, RandomSource random)
    {
        var path = new List<int>();
        var (node, p) = (-1, distributions.P![0]);
        while (AcceptChild(draft, node, ref p, random) is { } accepted)
        {
            path.Add(accepted);
            (node, p) = (accepted, distributions.P[accepted + 1]);
        }
        return new AcceptedPath(path, TokenDraw.Sample(p, random));
    }

    // Returns the accepted child of the node. If none is accepted, returns null and leaves the rest of p in p. Neither
    // p nor q needs to add up to one.
    private static int? AcceptChild(Draft draft, int node, ref float[] p, RandomSource random)
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
        var rest = (float[])weights.Clone();
        rest[token] = 0;
        // The rest is all zero only if the token had all the weight. Its rejection then has probability zero and comes
        // from rounding.
        return rest.AsSpan().ContainsAnyExcept(0) ? rest : weights;
    }

    // max(0, p - q), both normalised. This is all zero only if p = q. A rejection then has probability zero and comes
    // from rounding, and p itself is the correct distribution.
    private static float[] Residual(float[] p, float[] q, double massP, double massQ)
    {
        var rest = new float[p.Length];
        for (var i = 0; i < rest.Length; i++) rest[i] = (float)Math.Max(0, p[i] / massP - q[i] / massQ);
        return rest.AsSpan().ContainsAnyExcept(0) ? rest : p;
    }
}
