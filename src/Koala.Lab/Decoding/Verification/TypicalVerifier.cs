using Koala.Lab.Decoding.Sampling;
using Koala.Lab.Drafting;
using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Decoding.Verification;

/// <summary>
/// Keeps every candidate that is likely enough to the target, p &gt; min(ε, δ·exp(-H(p))), and of the paths that are kept whole the
/// longest, of those the likeliest. <b>Not lossless</b>: tokens do not have the distribution p.
/// </summary>
/// <remarks>
/// Typical acceptance of Medusa (arXiv 2401.10774, section 2.3.1), ε 0.09 and δ 0.3 as in its code. The bonus token is drawn from p.
/// </remarks>
internal sealed class TypicalVerifier(GenerationOptions options) : Verifier
{
    private const double Epsilon = 0.09;
    private const double Delta = 0.3;

    public override IReadOnlyList<TargetDistributions> Score(Tensor logits) => [.. ByEach(logits, options).Select(p => new TargetDistributions(null, p))];

    public override AcceptedPath Verify(TargetDistributions distributions, Draft draft, RandomSource random)
    {
        var p = distributions.P!;
        // For the root and each candidate: its depth where its path is kept, else -1; the path's log-probability; its children's threshold.
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
        return new AcceptedPath(path, TokenDraw.Sample(p[best], random));
    }

    private static double Threshold(float[] p)
    {
        var entropy = 0.0;
        foreach (var x in p) entropy -= x * Math.Log(x + 1e-5);
        return Math.Min(Epsilon, Delta * Math.Exp(-entropy));
    }
}
