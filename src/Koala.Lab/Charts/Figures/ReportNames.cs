using System.Globalization;
using Koala.Lab.Decoding;
using Koala.Lab.Evaluation;

namespace Koala.Lab.Charts.Figures;

/// <summary>Short names that tell reports apart: the head, and of its circumstances those that are not the same in all.</summary>
internal static class ReportNames
{
    private static readonly Func<EvaluationReport, string>[] s_circumstances =
    [
        r => r.Target, r => r.Device, r => r.Dtype,
        r => string.Create(CultureInfo.InvariantCulture, $"temperature {r.Temperature}"),
        EvaluationTable.RenderDraft,
        r => r.Acceptance == AcceptanceMode.Lossless ? "lossless" : "typical acceptance",
    ];

    public static IReadOnlyList<string> Create(IReadOnlyList<EvaluationReport> reports)
    {
        var telling = s_circumstances.Where(c => reports.Select(c).Distinct().Count() > 1).ToArray();
        var names = reports.Select(r => string.Join(", ", telling.Select(c => c(r)).Prepend(r.Head))).ToArray();
        // Still the same: the same thing measured twice. An axis of names needs each once.
        return [.. names.Select((name, i) => names.Count(n => n == name) == 1 ? name : $"{name} #{names.Take(i + 1).Count(n => n == name)}")];
    }
}
