using System.Globalization;
using System.Text;
using System.Text.Json.Serialization;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Cost;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Heads;
using Koala.Lab.Targets;
using Koala.Lab.Runtime;

namespace Koala.Lab.Evaluation;

/// <summary>
/// The acceptance length that a head has to reach on this device for a speedup of 1. It follows from the cost of the rounds alone,
/// so the head need not be trained. <c>koala evaluate</c> prints this report for an untrained head.
/// </summary>
[TypeFormatterSource]
public sealed record BreakEvenReport : Circumstances
{
    // In this time the medians of a few kinds of step, measured alternately, become stable.
    private static readonly TimeSpan s_budget = TimeSpan.FromSeconds(4);

    /// <param name="circumstances">What the report's figures hold for.</param>
    public BreakEvenReport(Circumstances circumstances) : base(circumstances)
    {
    }

    [JsonConstructor]
    private BreakEvenReport()
    {
    }

    /// <summary>The number of tokens that a round drafts one after another; for a tree, its depth.</summary>
    public required int DraftLength { get; init; }

    /// <summary>The median milliseconds of a baseline round: a round of the target without a drafter.</summary>
    [JsonPropertyName("aloneMs")]
    public required double BaselineMs { get; init; }

    /// <summary>The acceptance length at which speedup is 1.</summary>
    public required double BreakEven { get; init; }

    /// <summary>The times of the parts of a round.</summary>
    public required RoundTimes Round { get; init; }

    /// <summary>The same figures for shorter chains and for this one. A tree has one row.</summary>
    public required IReadOnlyList<BreakEvenRow> ByDraftLength { get; init; }

    /// <summary>
    /// Where the assumed acceptance of <see cref="Assuming"/> comes from: the file of a report, or numbers. Null without one.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? AcceptanceFrom { get; init; }

    /// <summary>
    /// The error of the same prediction where the assumed acceptance was measured: there, the predicted speedup divided by the measured
    /// one, minus 1. Null if the acceptance was made up or its report has no speeds.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? PredictionError { get; init; }

    /// <summary>
    /// Where the assumed acceptance was measured with a tree: the acceptance length that it predicts for that tree, divided by the measured
    /// one, minus 1. Null otherwise; for a chain the two are equal.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? AcceptanceLengthError { get; init; }

    /// <summary>The same costs with what a head of this acceptance would give.</summary>
    /// <remarks>
    /// The prediction takes the acceptance as it is. It is exact for the same head on another device with a chain, and an estimate for a
    /// tree, for another number of layers, and for another draft vocabulary or another target, whose acceptance differs.
    /// </remarks>
    /// <exception cref="KoalaException">The costs are of a tree, but the acceptance is that of a chain.</exception>
    public BreakEvenReport Assuming(AssumedAcceptance acceptance)
    {
        ArgumentNullException.ThrowIfNull(acceptance);
        if (IsTree && acceptance.ByRank is null)
            throw new KoalaException("the assumed acceptance", "is that of a chain, but the rounds draft a tree",
                "give the acceptance by rank, such as 0.6:0.1,0.7:0.1, or the report of a tree; or a draft length");
        var report = acceptance.Report;
        var predicted = report?.PredictedAcceptanceLength is { } length ? length / report.BreakEven : report?.Predicted;
        return this with
        {
            AcceptanceFrom = acceptance.From,
            PredictionError = Error(predicted, report?.Speedup.Median),
            AcceptanceLengthError = Error(report?.PredictedAcceptanceLength, report?.AcceptanceLength.Mean),
            ByDraftLength = [.. ByDraftLength.Select(row => row.Assuming(acceptance))],
        };
    }

    // Null where one of them is not known.
    private static double? Error(double? predicted, double? measured) =>
        predicted / measured - 1 is { } error && double.IsFinite(error) ? error : null;

    internal bool IsTree { get; init; }

    /// <summary>Measures the break-even of a head that was never trained.</summary>
    /// <param name="target">The target.</param>
    /// <param name="head">The kind and the sizes of the head.</param>
    /// <param name="options">As for the other overload.</param>
    /// <param name="batch">The number of prompts in a batch.</param>
    /// <param name="limits">How much other work on the machine is tolerated; null means the defaults.</param>
    /// <param name="cancel">Checked between rounds.</param>
    /// <exception cref="KoalaException">
    /// An option is out of range, or the folder for temporary files has no space for the head.
    /// </exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static BreakEvenReport Measure(
        Target target, HeadOptions head, GenerationOptions? options = null, int batch = 1,
        DisturbanceLimits? limits = null, CancellationToken cancel = default)
    {
        using var loaded = Untrained(target, head);
        return Measure(target, loaded, $"{head.Kind} K={head.Layers}, untrained", options, batch, limits, cancel);
    }

    /// <summary>Measures the break-even of a drafter.</summary>
    /// <param name="target">The target.</param>
    /// <param name="source">The draft source.</param>
    /// <param name="name">The name of the draft source in the report.</param>
    /// <param name="options">
    /// How tokens are chosen and drafted. Null means greedy decoding. Without a draft length and a tree, the longest chain that is worth
    /// trying is drafted.
    /// </param>
    /// <param name="batch">The number of prompts in a batch.</param>
    /// <param name="limits">As for the other overload.</param>
    /// <param name="cancel">Checked between rounds.</param>
    /// <exception cref="KoalaException">An option is out of range.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static BreakEvenReport Measure(Target target, IDraftSource source, string name, GenerationOptions? options = null, int batch = 1,
        DisturbanceLimits? limits = null, CancellationToken cancel = default)
    {
        options ??= new GenerationOptions();
        options.Validate();
        if (batch < 1)
            throw KoalaException.ForOption(nameof(batch), $"is {batch}, but at least one prompt is answered at a time",
                "set it to 1 or more");
        if (options is { DraftLength: null, Tree: null })
            options = options with { DraftLength = Math.Min(source.MaxDraftLength, DraftLengthTuner.Longest) };
        var tree = SpeculativeDecoder.TreeFor(source, options);
        if (tree.Nodes == 0)
            throw KoalaException.ForOption(nameof(options.DraftLength), "is 0, but a draft is to be measured",
                "set it to 1 or more, or leave it out");
        var cost = StepCost.Measure(target, source, StepCost.TreesUpTo(tree), options, batch, s_budget, cancel);
        string[] disturbances = [.. Decoding.Cost.Disturbances.OfCost(cost, limits ?? new DisturbanceLimits())];
        var circumstances = Circumstances.Create(target, name, options.Temperature, batch) with
        {
            Load = cost.Load,
            Disturbances = disturbances,
        };
        return Create(circumstances, tree.Depth, cost) with { IsTree = tree is not ChainTree };
    }

    // Without figures if the measurement was disturbed.
    internal static BreakEvenReport Create(Circumstances circumstances, int draftLength, StepCost cost)
    {
        BreakEvenRow[] rows = circumstances.Disturbed == true ? [] : [.. cost.Trees.Select(tree => Row(tree, cost))];
        return new BreakEvenReport(circumstances)
        {
            DraftLength = draftLength,
            BaselineMs = rows.Length == 0 ? double.NaN : cost.BaselineMs,
            BreakEven = rows is [.., var last] ? last.BreakEven : double.NaN,
            Round = rows is [.., { Round: var round }] ? round : RoundTimes.Unknown,
            ByDraftLength = rows,
        };
    }

    private static BreakEvenRow Row(TreeCost tree, StepCost cost)
    {
        var times = new RoundTimes(tree.DraftMs, tree.VerifyMs, tree.BookkeepingMs);
        return new BreakEvenRow(tree.Tree.Depth, times, cost.BreakEven(tree.RoundMs)) { Tree = tree.Tree };
    }

    // The head goes through a file, because a new head is in fp32 for the trainer and a loaded one has the target's dtype.
    private static DraftHead Untrained(Target target, HeadOptions options)
    {
        var folder = Directory.CreateTempSubdirectory("koala-untrained-");
        try
        {
            using var head = DraftHead.Create(options, target);
            head.Save(folder.FullName, "");
            return DraftHead.Load(folder.FullName, target);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>The table that the command prints.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        text.Append(base.ToString()).Append('\n');
        if (Disturbed == true)
        {
            foreach (var disturbance in Disturbances!) text.Append("not measured: ").Append(disturbance).Append('\n');
            return text.ToString();
        }
        text.Append(CultureInfo.InvariantCulture, $"baseline: {BaselineMs:F2} ms per token\n");
        text.Append("draft length  draft ms  verify ms  bookkeeping ms  break-even acceptance length");
        text.Append(AcceptanceFrom is null ? "\n" : "  assumed  speedup\n");
        foreach (var row in ByDraftLength)
        {
            var times = row.Round;
            text.Append(CultureInfo.InvariantCulture, $"{row.DraftLength,12}  {times.DraftMs,8:F2}  {times.VerifyMs,9:F2}  ");
            text.Append(CultureInfo.InvariantCulture, $"{times.BookkeepingMs,14:F2}  ");
            if (AcceptanceFrom is null) text.Append(CultureInfo.InvariantCulture, $"{row.BreakEven:F2}");
            else text.Append(CultureInfo.InvariantCulture, $"{row.BreakEven,28:F2}  {Known(row.AcceptanceLength)}  {Known(row.Speedup)}");
            text.Append(row.BreakEven > row.DraftLength + 1 ? ", cannot be reached\n" : "\n");
        }
        if (AcceptanceFrom is not null) text.Append(RenderAssumption());
        return text.ToString();
    }

    private string RenderAssumption()
    {
        var text = new StringBuilder().Append(CultureInfo.InvariantCulture, $"acceptance: assumed, from {AcceptanceFrom}");
        if (PredictionError is { } error) text.Append("; there the same prediction was ").Append(Render(error));
        if (AcceptanceLengthError is { } ofLength) text.Append("; the acceptance length of its tree is ").Append(Render(ofLength));
        text.Append('\n');
        if (IsTree) return text.ToString();
        var best = ByDraftLength.Where(row => row.Speedup is not null).MaxBy(row => row.Speedup);
        if (best is not null)
            text.Append(CultureInfo.InvariantCulture, $"best: speedup {best.Speedup:F2} with draft length {best.DraftLength}\n");
        return text.ToString();
    }

    private static string Render(double error) =>
        string.Create(CultureInfo.InvariantCulture, $"{Math.Abs(error):P0} too {(error < 0 ? "low" : "high")}");

    private static string Known(double? value) => value is { } known
        ? string.Create(CultureInfo.InvariantCulture, $"{known,7:F2}")
        : "      -";
}

/// <summary>
/// A round of one draft length, and the acceptance length at which its speedup is 1. A break-even above the draft length + 1 cannot be
/// reached.
/// </summary>
public sealed record BreakEvenRow(int DraftLength, RoundTimes Round, double BreakEven)
{
    /// <summary>The acceptance length under an assumed acceptance; null without one, or if it does not reach this draft length.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? AcceptanceLength { get; init; }

    /// <summary>The speedup that follows from it; null where the acceptance length is.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Speedup => AcceptanceLength / BreakEven;

    /// <summary>What the round drafts.</summary>
    internal DraftTree Tree { get; init; } = new ChainTree(DraftLength);

    internal BreakEvenRow Assuming(AssumedAcceptance acceptance)
    {
        var length = acceptance.LengthOf(Tree);
        return this with { AcceptanceLength = double.IsFinite(length) ? length : null };
    }
}
