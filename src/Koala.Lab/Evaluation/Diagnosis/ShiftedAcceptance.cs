using Koala.Lab.Decoding;
using Koala.Lab.Drafting;
using Koala.Lab.Evaluation.Acceptance;
using Koala.Lab.Targets;

namespace Koala.Lab.Evaluation.Diagnosis;

/// <summary>
/// n-alpha of a draft source on greedy answers, and what it would be if the head predicted the token before or the token after the one that
/// it should.
/// </summary>
/// <param name="Before">The share of positions at which the best token is the one before the right one, by depth.</param>
/// <param name="Right">The share at which it is the right one: n-alpha.</param>
/// <param name="After">The share at which it is the one after.</param>
public sealed record ShiftedAcceptance(IReadOnlyList<double> Before, IReadOnlyList<double> Right, IReadOnlyList<double> After)
{
    /// <param name="target">The target.</param>
    /// <param name="source">The draft source.</param>
    /// <param name="answers">The target's own greedy answers.</param>
    /// <param name="depths">The number of depths.</param>
    /// <param name="cancel">Checked between positions.</param>
    internal static ShiftedAcceptance Measure(
        Target target, IDraftSource source, IReadOnlyList<Generation> answers, int depths, CancellationToken cancel)
    {
        depths = Math.Min(depths, source.MaxDraftLength);
        var hits = new long[3, depths];
        var totals = new long[3, depths];
        foreach (var batch in answers.Chunk(TeacherForcing.BatchSize))
        {
            var position = -1;
            TeacherForcing.Run(target, source, batch, depths, step =>
            {
                // The first step at each position has drafted nothing.
                if (step.Drafted == 0) position++;
                var best = step.Logits.argmax(-1).cpu().data<long>().ToArray();
                for (var b = 0; b < batch.Length; b++)
                {
                    var token = step.Drafter.Vocabulary?.Tokens[(int)best[b]] ?? (int)best[b];
                    for (var shift = 0; shift < 3; shift++)
                    {
                        var index = position + step.Drafted + shift;
                        if (index >= batch[b].Tokens.Count) continue;
                        totals[shift, step.Drafted]++;
                        if (token == batch[b].Tokens[index]) hits[shift, step.Drafted]++;
                    }
                }
                return true;
            }, cancel);
        }
        IReadOnlyList<double> Rates(int shift) => [.. Enumerable.Range(0, depths).Where(depth => totals[shift, depth] > 0)
            .Select(depth => hits[shift, depth] / (double)totals[shift, depth])];
        return new ShiftedAcceptance(Rates(0), Rates(1), Rates(2));
    }
}
