using Koala.Lab.Data;
using Koala.Lab.Decoding;
using Koala.Lab.Drafting;
using Koala.Lab.Targets;

namespace Koala.Lab.Evaluation.Acceptance;

/// <summary>
/// Position acceptance in whole numbers, so that two heads can be compared exactly: of the rounds that drafted a token at a position and
/// accepted all before it, how many accepted it.
/// </summary>
/// <param name="Position">The position in the draft, counted from 1.</param>
/// <param name="Reached">The rounds that drafted a token there and accepted all tokens before it.</param>
/// <param name="Accepted">How many of them accepted it.</param>
public readonly record struct PositionCounts(int Position, long Reached, long Accepted)
{
    /// <summary>Accepted ÷ Reached; NaN if no round reached the position.</summary>
    public double Rate => Reached == 0 ? double.NaN : Accepted / (double)Reached;

    /// <summary>Answers prompts greedily with chains of drafted tokens, and counts.</summary>
    /// <param name="target">The target.</param>
    /// <param name="source">The draft source.</param>
    /// <param name="prompts">The prompts, of which the first turns are asked; those that leave no room in the context are skipped.</param>
    /// <param name="draftLength">The number of tokens that a round drafts, at most what the source can draft.</param>
    /// <param name="maxTokens">The most tokens of an answer.</param>
    /// <param name="cancel">Checked between rounds.</param>
    /// <returns>One for each position; and the answers, in the order of the prompts.</returns>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static (IReadOnlyList<PositionCounts> Positions, IReadOnlyList<Generation> Answers) Measure(Target target, IDraftSource source,
        IReadOnlyList<Prompt> prompts, int draftLength = 5, int maxTokens = 32, CancellationToken cancel = default)
    {
        KoalaException.ThrowIfNull(target);
        KoalaException.ThrowIfNull(source);
        KoalaException.ThrowIfNull(prompts);
        var length = Math.Min(draftLength, source.MaxDraftLength);
        var (reached, accepted) = (new long[length], new long[length]);
        var answers = new List<Generation>();
        using var decoder = new SpeculativeDecoder(target, source) { ChooseDraftLength = false };
        foreach (var prompt in prompts)
        {
            var tokens = new Dialogue(target, prompt, allTurns: false, null).Next();
            if (tokens is null || tokens.Count == 0 || tokens.Count >= target.Config.ContextLength) continue;
            var answer = decoder.Generate(tokens, new GenerationOptions { MaxTokens = maxTokens, DraftLength = length }, null, cancel);
            answers.Add(answer);
            foreach (var round in answer.Rounds)
            {
                for (var position = 0; position < Math.Min(round.Drafted, round.Accepted + 1); position++)
                {
                    reached[position]++;
                    if (round.Accepted > position) accepted[position]++;
                }
            }
        }
        return ([.. reached.Select((count, position) => new PositionCounts(position + 1, count, accepted[position]))], answers);
    }
}
