using System.Globalization;
using System.Text;
using Koala.Lab.Runtime;

namespace Koala.Lab.Decoding.Trace;

/// <summary>The rounds of one answer or of several answers, with their acceptance statistics.</summary>
/// <param name="Rounds">The rounds in order.</param>
[TypeFormatterSource]
public sealed record DecodingTrace(IReadOnlyList<Round> Rounds)
{
    /// <summary>
    /// Tokens committed per round, the bonus token included, pooled over all rounds. 1.0 is no gain; NaN means that
    /// there are no rounds.
    /// </summary>
    public double AcceptanceLength => Rounds.Count == 0 ? double.NaN : Rounds.Average(r => r.Committed);

    /// <summary>
    /// α₁, α₂, …: of the rounds that accepted a candidate at depth i-1 and drafted one at depth i, the share that
    /// accepted one at depth i.
    /// </summary>
    public IReadOnlyList<double> PositionAcceptance =>
        [.. PositionRounds.Select((verified, i) => (double)Rounds.Count(r => r.Accepted > i) / verified)];

    /// <summary>The number of rounds behind each share of <see cref="PositionAcceptance"/>.</summary>
    public IReadOnlyList<int> PositionRounds
    {
        get
        {
            var depths = Enumerable.Range(1, Rounds.Count == 0 ? 0 : Rounds.Max(r => r.Depth));
            var counts = depths.Select(depth => Rounds.Count(r => r.Depth >= depth && r.Accepted >= depth - 1));
            return [.. counts.TakeWhile(count => count > 0)];
        }
    }

    /// <summary>
    /// For draft trees, by depth and then by child rank: of the rounds that reached a node with a child of that rank,
    /// the share that accepted this child. The shares of a node add up to how often any of its children was accepted.
    /// Null if all drafts are chains.
    /// </summary>
    public IReadOnlyList<IReadOnlyList<double>>? TreeNodeAcceptance
    {
        get
        {
            var trees = Rounds.Where(r => r.Levels is { Count: > 0 }).Select(r => r.Levels!).ToArray();
            if (trees.Length == 0) return null;
            var shares = new List<IReadOnlyList<double>>();
            for (var depth = 0; depth < trees.Max(t => t.Count); depth++)
                shares.Add(AcceptanceByRank([.. trees.Where(t => t.Count > depth).Select(t => t[depth])]));
            return shares;
        }
    }

    /// <summary>One line: the acceptance length, and what a round takes on average. <see cref="ToTable"/> has each round.</summary>
    public override string ToString() => Rounds.Count == 0
        ? "no rounds"
        : string.Create(CultureInfo.InvariantCulture, $"{Acceptance}; per round {Rounds.Average(r => r.DraftMs):F2} ms draft, "
            + $"{Rounds.Average(r => r.VerifyMs):F2} ms verify, {Rounds.Average(r => r.BookkeepingMs):F2} ms bookkeeping");

    /// <summary>A table of the rounds, with the means in the last row.</summary>
    public string ToTable()
    {
        if (Rounds.Count == 0) return "no rounds";
        var table = new StringBuilder("round  drafted  accepted  draft ms  verify ms  bookkeeping ms\n");
        for (var i = 0; i < Rounds.Count; i++)
        {
            var round = Rounds[i];
            table.Append(CultureInfo.InvariantCulture, $"{i + 1,5}  {round.Drafted,7}  {round.Accepted,8}");
            AppendTimes(table, round.DraftMs, round.VerifyMs, round.BookkeepingMs);
        }
        table.Append(CultureInfo.InvariantCulture, $" mean  {Rounds.Average(r => r.Drafted),7:F2}  {Rounds.Average(r => r.Accepted),8:F2}");
        AppendTimes(table, Rounds.Average(r => r.DraftMs), Rounds.Average(r => r.VerifyMs), Rounds.Average(r => r.BookkeepingMs));
        var byDepth = TreeNodeAcceptance ?? [];
        for (var depth = 0; depth < byDepth.Count; depth++)
            table.Append(CultureInfo.InvariantCulture, $"accepted at depth {depth + 1}, by child rank: {Ranks(byDepth[depth])}\n");
        return table.Append(Acceptance).ToString();
    }

    private string Acceptance =>
        string.Create(CultureInfo.InvariantCulture, $"acceptance length {AcceptanceLength:F2} over {Rounds.Count} rounds");

    /// <summary>The shares of a depth as text. Only the first six are printed; the others are counted.</summary>
    internal static string Ranks(IReadOnlyList<double> shares)
    {
        const int Most = 6;
        var text = string.Join("  ", shares.Take(Most).Select(share => share.ToString("F2", CultureInfo.InvariantCulture)));
        return shares.Count <= Most ? text : string.Create(CultureInfo.InvariantCulture, $"{text}  and {shares.Count - Most} more");
    }

    private static void AppendTimes(StringBuilder table, double draftMs, double verifyMs, double bookkeepingMs) =>
        table.Append(CultureInfo.InvariantCulture, $"  {draftMs,8:F2}  {verifyMs,9:F2}  {bookkeepingMs,14:F2}\n");

    private static double[] AcceptanceByRank(LevelAcceptance[] levels)
    {
        var ranks = Enumerable.Range(0, levels.Max(l => l.Children));
        return [.. ranks.Select(rank => (double)levels.Count(l => l.Kept == rank) / levels.Count(l => l.Children > rank))];
    }
}
