using System.Globalization;
using Koala.Lab.Decoding;

namespace Koala.Cli.Output;

/// <summary>The line that ends <c>koala generate</c>: how many tokens, how fast, how many accepted, and why it stopped.</summary>
/// <param name="maxTokens">The most tokens of an answer.</param>
/// <param name="contextLength">The tokens of the target's context.</param>
/// <param name="endIds">The tokens with which the target ends an answer.</param>
/// <param name="drafts">Whether anything drafted.</param>
internal sealed class GenerationSummary(int maxTokens, int contextLength, IReadOnlyCollection<int> endIds, bool drafts)
{
    private readonly List<Generation> _answers = [];

    public void Add(Generation answer) => _answers.Add(answer);

    public override string ToString()
    {
        var tokens = _answers.Sum(answer => answer.Tokens.Count);
        var rate = tokens / _answers.Sum(answer => answer.Seconds);
        var rounds = _answers.SelectMany(answer => answer.Rounds).ToArray();
        var accepted = drafts && rounds.Length > 0 ? $", {Number("F2", rounds.Average(round => round.Accepted))} accepted per round" : "";
        var answers = _answers.Count == 1 ? "" : $"{_answers.Count} answers, ";
        var counted = tokens == 1 ? "1 token" : $"{tokens} tokens";
        return $"{answers}{counted}, {Number("F0", rate)} tokens/s{accepted}; {Reasons()}";
    }

    // Whoever wonders why an answer stops there finds the option that decides it.
    private string Reasons()
    {
        var reasons = _answers.CountBy(Reason).OrderByDescending(reason => reason.Value).ToArray();
        return _answers.Count == 1
            ? reasons[0].Key
            : string.Join(", ", reasons.Select(reason => $"{reason.Value} {reason.Key}"));
    }

    private string Reason(Generation answer) => answer switch
    {
        { FinishReason: FinishReason.Stop } when endIds.Contains(answer.Tokens[^1]) => "ended by the target",
        { FinishReason: FinishReason.Stop } => "ended at a text of --stop",
        _ when answer.Tokens.Count >= maxTokens => $"cut off at --max-tokens {maxTokens}",
        _ => $"cut off at the end of the context of {contextLength} tokens",
    };

    private static string Number(string format, double value) => value.ToString(format, CultureInfo.InvariantCulture);
}
