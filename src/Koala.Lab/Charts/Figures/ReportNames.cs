using System.Globalization;
using Koala.Lab.Decoding;
using Koala.Lab.Evaluation;

namespace Koala.Lab.Charts.Figures;

/// <summary>Short names that distinguish reports: the head, and those of its circumstances that are not the same in all reports.</summary>
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
        var different = s_circumstances.Where(c => reports.Select(c).Distinct().Count() > 1).ToArray();
        var names = reports.Select(r => string.Join(", ", different.Select(c => c(r)).Prepend(r.Head))).ToArray();
        // Names that are still equal belong to repeated measurements. An axis of names needs unique names.
        return [.. names.Select(Unique)];

        string Unique(string name, int index)
        {
            if (names.Count(n => n == name) == 1) return name;
            return $"{name} #{names.Take(index + 1).Count(n => n == name)}";
        }
    }
}
