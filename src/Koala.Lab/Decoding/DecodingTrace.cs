using System.Globalization;
using System.Text;
using Koala.Lab.Runtime;

namespace Koala.Lab.Decoding;

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

    /// <summary>A table of rounds, with the means last.</summary>
    public override string ToString()
    {
        if (Rounds.Count == 0) return "no rounds";
        var table = new StringBuilder("round  drafted  accepted  draft ms  verify ms  bookkeeping ms\n");
        for (var i = 0; i < Rounds.Count; i++)
            table.Append(CultureInfo.InvariantCulture, $"{i + 1,5}  {Rounds[i].Drafted,7}  {Rounds[i].Accepted,8}  {Rounds[i].DraftMs,8:F2}  {Rounds[i].VerifyMs,9:F2}  {Rounds[i].BookkeepingMs,14:F2}\n");
        table.Append(CultureInfo.InvariantCulture, $" mean  {Rounds.Average(r => r.Drafted),7:F2}  {Rounds.Average(r => r.Accepted),8:F2}  {Rounds.Average(r => r.DraftMs),8:F2}  {Rounds.Average(r => r.VerifyMs),9:F2}  {Rounds.Average(r => r.BookkeepingMs),14:F2}\n");
        return table.Append(CultureInfo.InvariantCulture, $"acceptance length {AcceptanceLength:F2} over {Rounds.Count} rounds").ToString();
    }
}
