using Koala.Lab.Evaluation;

namespace Koala.Lab.Results;

/// <summary>An answer of an evaluation as the values of a row.</summary>
internal static class AnswerFields
{
    /// <summary>The values: times in milliseconds, lengths in tokens.</summary>
    public static Dictionary<string, object?> Of(string run, AnswerReport answer) => new()
    {
        ["run"] = run,
        ["prompt"] = answer.Prompt,
        ["category"] = answer.Category,
        ["turn"] = (double)answer.Turn,
        ["promptTokens"] = (double)answer.PromptTokens,
        ["tokens"] = (double)answer.Speculative.Tokens,
        ["rounds"] = (double)answer.Speculative.Rounds,
        ["accepted"] = (double)answer.Speculative.Accepted,
        ["acceptanceLength"] = AcceptanceLength(answer),
        ["speedup"] = Speedup(answer),
        ["baselineMsPerToken"] = Finite(1000 * answer.Baseline.SecondsPerToken),
        ["msPerToken"] = Finite(1000 * answer.Speculative.SecondsPerToken),
        ["baselinePrefillMs"] = Finite(1000 * answer.Baseline.PrefillSeconds),
        ["prefillMs"] = Finite(1000 * answer.Speculative.PrefillSeconds),
        ["equal"] = answer.Equal,
    };

    /// <summary>The tokens per round, the bonus token included; null if there was no round.</summary>
    public static double? AcceptanceLength(AnswerReport answer) =>
        Finite(1 + (double)answer.Speculative.Accepted / answer.Speculative.Rounds);

    /// <summary>Baseline seconds per token divided by seconds per token with the head; null if there was no round.</summary>
    public static double? Speedup(AnswerReport answer) =>
        Finite(answer.Baseline.SecondsPerToken / answer.Speculative.SecondsPerToken);

    private static double? Finite(double value) => double.IsFinite(value) ? value : null;
}
