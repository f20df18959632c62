using System.Globalization;
using Koala.Lab.Charts.Tables;
using Koala.Lab.Evaluation;
using Koala.Lab.Results;

namespace Koala.Lab.Charts.Pages;

/// <summary>The table of a report's answers, one row per answer.</summary>
internal static class PromptTable
{
    private static readonly Column[] s_columns =
    [
        new("prompt"), new("category", Number: false), new("turn"), new("tokens"), new("rounds"), new("acceptance length"),
        new("equal", Number: false),
    ];

    private static readonly Column[] s_speeds = [new("speedup"), new("ms per token"), new("baseline, ms per token")];

    public static TextTable Create(EvaluationReport report)
    {
        var measured = EvaluationTable.SpeedsMissing(report) is null;
        return new TextTable(measured ? [.. s_columns, .. s_speeds] : s_columns,
            [.. report.Answers.Select(answer => (IReadOnlyList<string>)[.. Counts(answer), .. measured ? Speeds(answer) : []])]);
    }

    private static string[] Counts(AnswerReport answer) =>
    [
        answer.Prompt, answer.Category, Count(answer.Turn), Count(answer.Speculative.Tokens), Count(answer.Speculative.Rounds),
        Two(AnswerFields.AcceptanceLength(answer)), answer.Equal is { } equal ? equal ? "yes" : "no" : "",
    ];

    private static string[] Speeds(AnswerReport answer) =>
    [
        Two(AnswerFields.Speedup(answer)), Two(1000 * answer.Speculative.SecondsPerToken), Two(1000 * answer.Baseline.SecondsPerToken),
    ];

    private static string Count(int count) => count.ToString(CultureInfo.InvariantCulture);

    private static string Two(double? value) => value is { } number && double.IsFinite(number)
        ? number.ToString("F2", CultureInfo.InvariantCulture)
        : "";
}
