using Koala.Lab.Decoding;

namespace Koala.Lab.Evaluation.Diagnosis;

/// <summary>What holds the speedup of a head back: its acceptance, or the time of its rounds. Times are means in milliseconds.</summary>
/// <param name="StepMs">The time of a token without a head.</param>
/// <param name="DraftMs">The drafting of a round.</param>
/// <param name="VerifyMs">The rest of a round: the target's step and the bookkeeping.</param>
/// <param name="DraftLength">The number of tokens that a round drafts.</param>
/// <param name="AcceptanceLength">Tokens committed per round, the bonus token included.</param>
public sealed record HeadTimes(double StepMs, double DraftMs, double VerifyMs, int DraftLength, double AcceptanceLength)
{
    /// <summary>The speedup at this acceptance and these times.</summary>
    public double Speedup => AcceptanceLength * StepMs / (DraftMs + VerifyMs);

    /// <summary>The speedup if drafting took no time.</summary>
    public double SpeedupIfDraftingWereFree => AcceptanceLength * StepMs / VerifyMs;

    /// <summary>The speedup if every drafted token were accepted.</summary>
    public double SpeedupIfAllWereAccepted => (DraftLength + 1) * StepMs / (DraftMs + VerifyMs);

    internal static HeadTimes Of(IReadOnlyList<Generation> answers, IReadOnlyList<Generation> plain, int draftLength)
    {
        var rounds = answers.SelectMany(answer => answer.Rounds).ToArray();
        var steps = plain.SelectMany(answer => answer.Rounds).ToArray();
        return new HeadTimes(
            steps.Average(round => round.DraftMs + round.VerifyMs + round.BookkeepingMs),
            rounds.Average(round => round.DraftMs),
            rounds.Average(round => round.VerifyMs + round.BookkeepingMs),
            draftLength,
            rounds.Average(round => round.Committed));
    }
}
