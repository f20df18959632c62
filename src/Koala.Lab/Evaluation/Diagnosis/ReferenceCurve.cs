using System.Text.Json;
using Koala.Lab.Heads;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Evaluation.Diagnosis;

/// <summary>What another head of the same kind reaches on MT-bench, greedily: a curve to compare acceptance by depth with.</summary>
/// <param name="Kind">The kind of head.</param>
/// <param name="Layers">Its number of layers K.</param>
/// <param name="Target">Its target.</param>
/// <param name="Source">Where the figures are from: a report in the repository, or a paper.</param>
/// <param name="NAlpha">n-alpha: teacher-forced acceptance by depth; null where the source gives none.</param>
public sealed record ReferenceCurve(string Kind, int Layers, string Target, string Source, IReadOnlyList<double?> NAlpha)
{
    private static readonly Lazy<ReferenceCurve[]> s_all = new(() =>
        JsonSerializer.Deserialize<ReferenceCurve[]>(EmbeddedFile.Read("reference-curves.json"), JsonFormat.Line)!);

    /// <summary>All curves.</summary>
    internal static IReadOnlyList<ReferenceCurve> All => s_all.Value;

    /// <summary>The curves for a head: of its kind, on each target the one whose K is nearest to its own.</summary>
    internal static IReadOnlyList<ReferenceCurve> For(HeadOptions head) =>
        [.. All.Where(curve => curve.Kind == head.Kind).GroupBy(curve => curve.Target)
            .Select(curves => curves.MinBy(curve => Math.Abs(curve.Layers - head.Layers))!)];

    /// <summary>What was measured, in words.</summary>
    public override string ToString() => $"MT-bench, {Kind} on {Target}, K = {Layers}";
}
