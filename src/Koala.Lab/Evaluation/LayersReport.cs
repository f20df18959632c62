using System.Globalization;
using System.Text;
using System.Text.Json.Serialization;
using Koala.Lab.Data;
using Koala.Lab.Decoding.Cost;
using Koala.Lab.Evaluation.Comparison;
using Koala.Lab.Evaluation.Statistics;
using Koala.Lab.Heads;
using Koala.Lab.Runs;
using Koala.Lab.Runtime;
using Koala.Lab.Targets;

namespace Koala.Lab.Evaluation;

/// <summary>
/// What each of a head's K layers adds: the head is measured as it is and stopped after each of its layers (early exit), whose output then
/// goes to the LM head. All of them draft the same number of tokens and answer the same prompts in turns.
/// </summary>
/// <remarks>
/// A head that was trained with K layers and stopped earlier is not the head that would have been trained with fewer: its inner layers
/// never had to predict tokens. A sweep over K compares heads that were trained for their number of layers.
/// </remarks>
/// <param name="Head">The name of the head.</param>
/// <param name="Layers">A row for each number of layers, from 1 to K.</param>
[TypeFormatterSource]
public sealed record LayersReport(string Head, IReadOnlyList<LayerRow> Layers)
{
    /// <summary>The draft length if none is given: long enough to see where acceptance ends.</summary>
    public const int DefaultDraftLength = 4;

    /// <summary>The command, the commit and the machine; null where they were not recorded.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull), JsonPropertyOrder(1)]
    public Provenance? Provenance { get; init; }

    /// <summary>Measures a head with its first layer, its first two, and so on.</summary>
    /// <param name="target">The target.</param>
    /// <param name="head">The head.</param>
    /// <param name="name">The name of the head in the report.</param>
    /// <param name="prompts">The prompts.</param>
    /// <param name="options">
    /// The options; null means the defaults. Without a draft length and a tree, <see cref="DefaultDraftLength"/> tokens are drafted.
    /// </param>
    /// <param name="progress">Gets a report after every batch of prompts.</param>
    /// <param name="cancel">Checked between rounds.</param>
    /// <exception cref="KoalaException">
    /// An option is out of range, no prompt is left to measure, or heads of this kind cannot stop after some of their layers.
    /// </exception>
    public static LayersReport Measure(Target target, DraftHead head, string name, IReadOnlyList<Prompt> prompts,
        EvaluationOptions? options = null, IProgress<EvaluationProgress>? progress = null, CancellationToken cancel = default)
    {
        KoalaException.ThrowIfNull(target);
        KoalaException.ThrowIfNull(head);
        options ??= new EvaluationOptions();
        if (options.Generation is { DraftLength: null, Tree: null })
        {
            var length = Math.Min(DefaultDraftLength, head.MaxDraftLength);
            options = options with { Generation = options.Generation with { DraftLength = length } };
        }
        var heads = new List<DraftHead>();
        try
        {
            for (var layers = 1; layers <= head.Options.Layers; layers++) heads.Add(head.FirstLayers(layers, target));
            var reports = Evaluator.RunInTurns(
                target, [.. heads.Select((part, i) => (part, $"{name}, {Count(i + 1)}"))], prompts, options, progress, cancel);
            return new LayersReport(name, [.. heads.Select((part, i) => RowOf(part, reports[i], i == 0 ? null : reports[i - 1]))]);
        }
        finally
        {
            foreach (var part in heads) part.Dispose();
        }
    }

    /// <summary>The table that the command prints.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        var first = Layers[0].Report;
        text.Append(CultureInfo.InvariantCulture, $"{Head} on {first.Target}, {first.Setup}, {EvaluationTable.RenderDraft(first)}, ");
        text.Append(CultureInfo.InvariantCulture, $"{first.Prompts} answers\n\n");
        text.Append("stopped after  parameters  acceptance length       added by the layer      draft ms  speedup\n");
        foreach (var row in Layers)
        {
            var (report, length) = (row.Report, row.Report.AcceptanceLength);
            var added = row.Added is null ? "" : row.Added.Missing is not null ? "no interval" : string.Create(CultureInfo.InvariantCulture,
                $"{row.Added.Change:+0.00;-0.00;0.00} [{row.Added.Low:F2}, {row.Added.High:F2}]");
            var acceptance = string.Create(CultureInfo.InvariantCulture, $"{length.Mean:F2} {IntervalText.Render(length, report.Batch)}");
            text.Append(CultureInfo.InvariantCulture, $"{Count(row.Layers),-13}  {row.Parameters,10}  {acceptance,-22}  {added,-22}  ");
            text.Append(CultureInfo.InvariantCulture, $"{Known(report.Round.DraftMs),8}  {Known(report.Speedup.Median),7}\n");
        }
        if (Layers.Select(row => row.Report).FirstOrDefault(report => report.Disturbed == true) is { Disturbances: { } disturbances })
            text.Append(CultureInfo.InvariantCulture, $"speed: not measured: {Disturbances.Line(disturbances)}\n");
        return text.ToString();
    }

    private static LayerRow RowOf(DraftHead head, EvaluationReport report, EvaluationReport? before) => new(
        head.Options.Layers,
        head.ParameterCount,
        head.Parameters.Sum(parameter => parameter.Value.numel() * parameter.Value.element_size()),
        report,
        before is null ? null : ComparisonReport.Create(before.Head, [before], report.Head, [report]).Figures[0]);

    private static string Count(int layers) => layers == 1 ? "1 layer" : string.Create(CultureInfo.InvariantCulture, $"{layers} layers");

    private static string Known(double value) => double.IsFinite(value) ? value.ToString("F2", CultureInfo.InvariantCulture) : "-";
}

/// <summary>A head that stops after some of its layers.</summary>
/// <param name="Layers">The number of layers that it uses.</param>
/// <param name="Parameters">The number of weights of the head with these layers.</param>
/// <param name="Bytes">Their bytes in the dtype that they are measured in.</param>
/// <param name="Report">The evaluation.</param>
/// <param name="Added">
/// The tokens per round that the last of these layers adds, with an interval over prompts; null for the first layer.
/// </param>
public sealed record LayerRow(int Layers, long Parameters, long Bytes, EvaluationReport Report, ComparedFigure? Added);
