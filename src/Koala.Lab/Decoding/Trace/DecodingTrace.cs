using System.Globalization;
using System.Text;
using Koala.Lab.Runtime;

namespace Koala.Lab.Decoding.Trace;

/// <summary>Rounds and what they come to; of one answer, or of many taken together.</summary>
/// <param name="Rounds">In order.</param>
[TypeFormatterSource]
public sealed record DecodingTrace(IReadOnlyList<Round> Rounds)
{
    /// <summary>Tokens committed a round, bonus included, pooled over all rounds; 1.0 is no gain, NaN without rounds.</summary>
    public double AcceptanceLength => Rounds.Count == 0 ? double.NaN : Rounds.Average(r => r.Committed);

    /// <summary>α₁, α₂ …: of the rounds whose candidate at depth i-1 was accepted and that drafted one at depth i, the share that accepted one.</summary>
    public IReadOnlyList<double> PositionAcceptance => Enumerable.Range(1, Rounds.Count == 0 ? 0 : Rounds.Max(r => r.Depth))
        .Select(depth => (Judged: Rounds.Count(r => r.Depth >= depth && r.Accepted >= depth - 1), Kept: Rounds.Count(r => r.Accepted >= depth)))
        .TakeWhile(x => x.Judged > 0)
        .Select(x => (double)x.Kept / x.Judged).ToArray();

    /// <summary>
    /// Of draft trees, by depth and then by child rank: of the rounds that came to a node with a child of that rank, the share that kept it. A node's
    /// shares add up to how often any child was kept. Null where all drafts are chains.
    /// </summary>
    public IReadOnlyList<IReadOnlyList<double>>? TreeNodeAcceptance
    {
        get
        {
            var trees = Rounds.Where(r => r.Levels is { Count: > 0 }).Select(r => r.Levels!).ToArray();
            if (trees.Length == 0) return null;
            return [.. Enumerable.Range(0, trees.Max(t => t.Count)).Select(depth => (IReadOnlyList<double>)ByRank([.. trees.Where(t => t.Count > depth).Select(t => t[depth])]))];
        }
    }

    /// <summary>A table of rounds, with the means last.</summary>
    public override string ToString()
    {
        if (Rounds.Count == 0) return "no rounds";
        var table = new StringBuilder("round  drafted  accepted  draft ms  verify ms  bookkeeping ms\n");
        for (var i = 0; i < Rounds.Count; i++)
            table.Append(CultureInfo.InvariantCulture, $"{i + 1,5}  {Rounds[i].Drafted,7}  {Rounds[i].Accepted,8}  {Rounds[i].DraftMs,8:F2}  {Rounds[i].VerifyMs,9:F2}  {Rounds[i].BookkeepingMs,14:F2}\n");
        table.Append(CultureInfo.InvariantCulture, $" mean  {Rounds.Average(r => r.Drafted),7:F2}  {Rounds.Average(r => r.Accepted),8:F2}  {Rounds.Average(r => r.DraftMs),8:F2}  {Rounds.Average(r => r.VerifyMs),9:F2}  {Rounds.Average(r => r.BookkeepingMs),14:F2}\n");
        if (TreeNodeAcceptance is { } byDepth)
            for (var depth = 0; depth < byDepth.Count; depth++) table.Append(CultureInfo.InvariantCulture, $"accepted at depth {depth + 1}, by child rank: {Ranks(byDepth[depth])}\n");
        return table.Append(CultureInfo.InvariantCulture, $"acceptance length {AcceptanceLength:F2} over {Rounds.Count} rounds").ToString();
    }

    /// <summary>The shares of a depth in plain text; the later ones of a wide tree are only counted.</summary>
    internal static string Ranks(IReadOnlyList<double> shares)
    {
        const int Most = 6;
        var text = string.Join("  ", shares.Take(Most).Select(share => share.ToString("F2", CultureInfo.InvariantCulture)));
        return shares.Count <= Most ? text : string.Create(CultureInfo.InvariantCulture, $"{text}  and {shares.Count - Most} more");
    }

    private static double[] ByRank(LevelAcceptance[] levels) => [.. Enumerable.Range(0, levels.Max(l => l.Children))
        .Select(rank => (double)levels.Count(l => l.Kept == rank) / levels.Count(l => l.Children > rank))];
}
