using Koala.Lab.Decoding.Sampling;
using Koala.Lab.Drafting;
using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Decoding.Verification;

/// <summary>
/// Passes every candidate that is likely enough to the target, p &gt; min(ε, δ·exp(-H(p))). Of the paths whose
/// candidates all pass it accepts the longest, and of several longest ones the likeliest. <b>Not lossless</b>: tokens
/// do not have the distribution p.
/// </summary>
/// <remarks>
/// This is Medusa's typical acceptance (arXiv 2401.10774, section 2.3.1), with ε = 0.09 and δ = 0.3 as in its code. The
/// bonus token is drawn from p.
/// </remarks>
internal sealed class TypicalVerifier(GenerationOptions options) : Verifier
{
    private const double Epsilon = 0.09;
    private const double Delta = 0.3;

    public override IReadOnlyList<TargetDistributions> Score(Tensor logits) =>
        [.. DistributionsBySequence(logits, options).Select(p => new TargetDistributions(null, p))];

    public override AcceptedPath Verify(TargetDistributions distributions, Draft draft, RandomSource random)
    {
        var p = distributions.P!;
        // Row 0 belongs to the root and row i+1 to candidate i.
        var depths = new int[p.Length];           // the depth of a row whose whole path passes, else -1
        var logs = new double[p.Length];          // the log-probability of the path
        var thresholds = new double?[p.Length];   // the threshold for the children
        var best = 0;
        for (var row = 1; row < p.Length; row++)
        {
            var candidate = draft.Candidates[row - 1];
            var parent = candidate.Parent + 1;
            var probability = (double)p[parent][candidate.Token];
            var passes = depths[parent] >= 0 && probability > (thresholds[parent] ??= Threshold(p[parent]));
            depths[row] = passes ? depths[parent] + 1 : -1;
            logs[row] = logs[parent] + Math.Log(probability);
            if (depths[row] > depths[best] || (depths[row] == depths[best] && logs[row] > logs[best])) best = row;
        }
        var path = new List<int>();
        for (var row = best; row > 0; row = draft.Candidates[row - 1].Parent + 1) path.Insert(0, row - 1);
        return new AcceptedPath(path, TokenDraw.Sample(p[best], random));
    }

    private static double Threshold(float[] p)
    {
        var entropy = 0.0;
        foreach (var x in p) entropy -= x * Math.Log(x + 1e-5);
        return Math.Min(Epsilon, Delta * Math.Exp(-entropy));
    }
}
