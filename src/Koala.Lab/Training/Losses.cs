using Koala.Lab.Heads.Learning;
using static TorchSharp.torch;

namespace Koala.Lab.Training;

/// <summary>
/// Koala's own losses. Each is a formula that holds at every position. p is the target's distribution, q the head's, z
/// the head's logits, y the text's next token, f the head's feature and g the target's. Sums go over the vocabulary.
/// </summary>
internal static class Losses
{
    /// <summary>The losses by name.</summary>
    public static IReadOnlyDictionary<string, TrainingLoss> All { get; } = new Dictionary<string, TrainingLoss>
    {
        // -Σ p·log q = log Σ exp z - Σ p·z, because Σ p = 1. In this form log q, which is as large as the logits, is
        // never stored.
        ["soft-cross-entropy"] = new(x => x.Logits.logsumexp(-1) - (x.P * x.Logits).sum(-1)),

        // -log q(y). Positions whose token lies outside of the head's vocabulary do not count.
        ["cross-entropy"] = new(CrossEntropy, counts: Known),

        // KL(p‖q) = Σ p·(log p - log q).
        ["kl"] = new(x => (x.P * (x.LogP - x.LogQ)).sum(-1)),

        // (KL(p‖m) + KL(q‖m)) / 2 with m = (p + q) / 2; at most log 2. A head minimises this against an ideal
        // discriminator of distributions (arXiv 1406.2661, section 4).
        ["jensen-shannon"] = new(JensenShannon),

        // 1 - Σ min(p, q), the expected rejection.
        ["total-variation"] = new(x => 1 - x.AcceptanceProbability),

        // -log Σ min(p, q). This has the same minimum, and its gradient does not vanish for a bad head (LK losses,
        // arXiv 2602.23881).
        ["acceptance"] = new(x => -x.AcceptanceProbability.clamp_min(1e-30).log()),

        // 1 - Π Σ min(p, q) over the depths up to this one: the probability that a chain ends before its next token. Without
        // a decay the sum over the depths is the draft length minus the expected number of accepted tokens, τ - 1.
        ["expected-tau"] = new(x => 1 - x.ReachProbability * x.AcceptanceProbability),

        // Smooth L1 of f - g, averaged over the width (EAGLE, arXiv 2401.15077, section 3.2).
        ["smooth-l1"] = new(SmoothL1, ofFeatures: true),
    };

    private static Tensor Known(DistillationTerms x) => x.Labels.ge(0).nonzero().view(-1);

    private static Tensor CrossEntropy(DistillationTerms x)
    {
        var known = Known(x);
        var (logits, labels) = (x.Logits.index_select(0, known), x.Labels.index_select(0, known));
        return logits.logsumexp(-1) - logits.gather(1, labels.unsqueeze(1)).squeeze(1);
    }

    private static Tensor JensenShannon(DistillationTerms x)
    {
        // p and q may both round to zero. Their terms are then zero for any finite logarithm.
        var logM = ((x.P + x.Q) / 2).clamp_min(1e-30).log();
        return ((x.P * (x.LogP - logM)) + (x.Q * (x.LogQ - logM))).sum(-1) / 2;
    }

    private static Tensor SmoothL1(DistillationTerms x) =>
        nn.functional.smooth_l1_loss(x.Features, x.TargetFeatures, nn.Reduction.None).mean([-1]);
}
