using System.Globalization;
using System.Text.Json.Serialization;
using Koala.Lab.Decoding;

namespace Koala.Lab.Evaluation.Acceptance;

/// <summary>The acceptance of the rounds that began with a context of about one length: prompt and answer so far.</summary>
/// <param name="From">The fewest tokens of the context.</param>
/// <param name="To">The most tokens: one less than twice as many, but the first bin begins at zero.</param>
/// <param name="Rounds">The number of rounds.</param>
/// <param name="AcceptanceLength">The tokens of a round on average, the bonus token included.</param>
public readonly record struct ContextBin(int From, int To, int Rounds, double AcceptanceLength)
{
    private const int FirstTo = 63;

    /// <summary>The range as text, such as 64-127.</summary>
    [JsonIgnore]
    public string Name => string.Create(CultureInfo.InvariantCulture, $"{From}-{To}");

    /// <summary>The rounds of some answers by the length of their context; bins without rounds are left out.</summary>
    internal static IReadOnlyList<ContextBin> Of(IEnumerable<Generation> answers)
    {
        var rounds = answers.SelectMany(Contexts).GroupBy(round => MostOf(round.Context)).OrderBy(bin => bin.Key);
        return [.. rounds.Select(bin => new ContextBin(bin.Key == FirstTo ? 0 : (bin.Key + 1) / 2, bin.Key, bin.Count(),
            bin.Average(round => round.Committed)))];
    }

    private static IEnumerable<(int Context, int Committed)> Contexts(Generation answer)
    {
        // Prefill brings the first token of the answer.
        var context = answer.PromptTokens.Count + 1;
        foreach (var round in answer.Rounds)
        {
            yield return (context, round.Committed);
            context += round.Committed;
        }
    }

    private static int MostOf(int context)
    {
        var most = FirstTo;
        while (most < context) most = 2 * most + 1;
        return most;
    }
}
