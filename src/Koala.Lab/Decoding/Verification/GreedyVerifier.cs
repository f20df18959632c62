using Koala.Lab.Drafting;
using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Decoding.Verification;

/// <summary>Keeps a candidate that is the target's best token.</summary>
internal sealed class GreedyVerifier(GenerationOptions options) : Verifier
{
    public override IReadOnlyList<TargetDistributions> Score(Tensor logits)
    {
        using var scope = NewDisposeScope();
        var best = logits.argmax(-1).cpu().data<long>().Select(token => (int)token).Chunk((int)logits.shape[1]).ToArray();
        var p = options.FullTrace ? ByEach(logits, options) : null;
        return [.. best.Select((rows, b) => new TargetDistributions(rows, p?[b]))];
    }

    public override AcceptedPath Verify(TargetDistributions distributions, Draft draft, RandomSource random)
    {
        var best = distributions.BestTokens!;
        var path = new List<int>();
        var node = -1;
        // Parents come before children: one look at each candidate is enough.
        for (var i = 0; i < draft.Candidates.Count; i++)
        {
            if (draft.Candidates[i].Parent != node || draft.Candidates[i].Token != best[node + 1]) continue;
            path.Add(i);
            node = i;
        }
        return new AcceptedPath(path, best[node + 1]);
    }
}
