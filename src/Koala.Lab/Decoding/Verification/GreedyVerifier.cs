using Koala.Lab.Drafting;
using Koala.Lab.Targets;
using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Decoding.Verification;

/// <summary>Accepts a candidate if it is the target's best token.</summary>
internal sealed class GreedyVerifier(GenerationOptions options) : Verifier
{
    public override IReadOnlyList<TargetDistributions> Score(Tensor logits)
    {
        using var scope = NewDisposeScope();
        var best = BestTokens.OnHost(logits).data<long>().Select(token => (int)token);   // B·T tokens
        var p = options.FullTrace ? DistributionsBySequence(logits, options) : null;
        return [.. best.Chunk((int)logits.shape[1]).Select((tokens, b) => new TargetDistributions(tokens, p?[b]))];
    }

    public override AcceptedPath Verify(TargetDistributions distributions, Draft draft, RandomSource random)
    {
        var best = distributions.BestTokens!;
        var path = new List<int>();
        var node = -1;
        // Parents come before their children, so one pass over the candidates is enough.
        for (var i = 0; i < draft.Candidates.Count; i++)
        {
            var candidate = draft.Candidates[i];
            if (candidate.Parent != node || candidate.Token != best[node + 1]) continue;
            path.Add(i);
            node = i;
        }
        return new AcceptedPath(path, best[node + 1]);
    }
}
