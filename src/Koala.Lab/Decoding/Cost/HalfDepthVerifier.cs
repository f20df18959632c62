using Koala.Lab.Decoding.Verification;
using Koala.Lab.Drafting;
using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Decoding.Cost;

/// <summary>
/// Accepts half of each draft's depth, whatever the target says, in the time that a real verifier takes. It serves timing only.
/// </summary>
/// <param name="rule">The real verifier. It verifies each draft too, and its result is ignored.</param>
/// <param name="bonusAfter">Gives the bonus token that follows a number of accepted candidates.</param>
internal sealed class HalfDepthVerifier(Verifier rule, Func<int, int> bonusAfter) : Verifier
{
    public override IReadOnlyList<TargetDistributions> Score(Tensor logits) => rule.Score(logits);

    public override AcceptedPath Verify(TargetDistributions distributions, Draft draft, RandomSource random)
    {
        rule.Verify(distributions, draft, random);
        // The path of first children, down to half of the tree's depth.
        var (path, node, half) = (new List<int>(), -1, draft.Depth / 2);
        for (var i = 0; i < draft.Candidates.Count && path.Count < half; i++)
            if (draft.Candidates[i].Parent == node) path.Add(node = i);
        return new AcceptedPath(path, bonusAfter(path.Count));
    }
}
