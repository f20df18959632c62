using Koala.Lab.Decoding.Verification;
using Koala.Lab.Drafting;
using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Evaluation.Cost;

/// <summary>Accepts half of each draft's depth, whatever the target says, in the time that a real rule takes: for timing.</summary>
/// <param name="rule">Judges each draft too; what it finds is not used.</param>
/// <param name="bonusAfter">The bonus token after so many accepted candidates.</param>
internal sealed class HalfDepthVerifier(Verifier rule, Func<int, int> bonusAfter) : Verifier
{
    public override IReadOnlyList<TargetDistributions> Score(Tensor logits) => rule.Score(logits);

    public override AcceptedPath Verify(TargetDistributions distributions, Draft draft, RandomSource random)
    {
        rule.Verify(distributions, draft, random);
        // First children, down to half of the tree's depth.
        var (path, node, half) = (new List<int>(), -1, draft.Depth / 2);
        for (var i = 0; i < draft.Candidates.Count && path.Count < half; i++)
            if (draft.Candidates[i].Parent == node) path.Add(node = i);
        return new AcceptedPath(path, bonusAfter(path.Count));
    }
}
