using System.Globalization;
using System.Text;
using System.Text.Json.Serialization;
using Koala.Lab.Decoding;
using Koala.Lab.Drafting;
using Koala.Lab.Heads;
using Koala.Lab.Targets;

namespace Koala.Lab.Evaluation.Cost;

/// <summary>
/// What a head has to reach on this device before it pays: by the cost of its rounds alone, so that it need not be trained.
/// <c>koala evaluate</c> prints it for an untrained head.
/// </summary>
public sealed record BreakEvenReport : Circumstances
{
    // Interleaved medians of a few step kinds settle in that time.
    private static readonly TimeSpan s_budget = TimeSpan.FromSeconds(4);

    /// <param name="circumstances">What the report's figures hold for.</param>
    public BreakEvenReport(Circumstances circumstances) : base(circumstances)
    {
    }

    [JsonConstructor]
    private BreakEvenReport()
    {
    }

    /// <summary>Tokens drafted a round one after another; of a tree, its depth.</summary>
    public required int DraftLength { get; init; }

    /// <summary>Median milliseconds of a round of the target alone.</summary>
    public required double BaselineMs { get; init; }

    /// <summary>The acceptance length at which speedup is 1.</summary>
    public required double BreakEven { get; init; }

    /// <summary>The parts of a round.</summary>
    public required RoundTimes Round { get; init; }

    /// <summary>The same for shorter chains, and this one. One row for a tree.</summary>
    public required IReadOnlyList<BreakEvenRow> ByDraftLength { get; init; }

    /// <summary>Measures it for a head that was never trained.</summary>
    /// <param name="target">The target.</param>
    /// <param name="head">Kind and sizes of the head.</param>
    /// <param name="options">As below.</param>
    /// <param name="batch">Prompts side by side.</param>
    /// <param name="cancel">Looked at between rounds.</param>
    /// <exception cref="KoalaException">An option is out of range, or there is no room for the head among the temporary files.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static BreakEvenReport Measure(Target target, HeadOptions head, GenerationOptions? options = null, int batch = 1, CancellationToken cancel = default)
    {
        using var loaded = Untrained(target, head);
        return Measure(target, loaded, $"{head.Kind} K={head.Layers}, untrained", options, batch, cancel);
    }

    /// <summary>Measures it.</summary>
    /// <param name="target">The target.</param>
    /// <param name="source">What drafts.</param>
    /// <param name="name">What the report calls it.</param>
    /// <param name="options">How tokens are chosen and drafted. Null, or neither draft length nor tree in it: greedy, the longest chain that is worth trying.</param>
    /// <param name="batch">Prompts side by side.</param>
    /// <param name="cancel">Looked at between rounds.</param>
    /// <exception cref="KoalaException">An option is out of range.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static BreakEvenReport Measure(Target target, IDraftSource source, string name, GenerationOptions? options = null, int batch = 1, CancellationToken cancel = default)
    {
        options ??= new GenerationOptions();
        options.Validate();
        if (batch < 1)
            throw KoalaException.ForOption(nameof(batch), $"is {batch}, but at least one prompt is answered at a time",
                "set it to 1 or more");
        if (options is { DraftLength: null, Tree: null }) options = options with { DraftLength = Math.Min(source.MaxDraftLength, DraftLengthTuner.Longest) };
        var tree = SpeculativeDecoder.TreeFor(source, options);
        if (tree.Nodes == 0)
            throw KoalaException.ForOption(nameof(options.DraftLength), "is 0, but a draft is to be measured",
                "set it to 1 or more, or leave it out");
        var cost = StepCost.Measure(target, source, StepCost.TreesUpTo(tree), options, batch, s_budget, cancel);
        BreakEvenRow[] rows = [.. cost.Trees.Select(s => new BreakEvenRow(s.Tree.Depth, new RoundTimes(s.DraftMs, s.VerifyMs, s.BookkeepingMs), s.RoundMs / cost.BaselineMs))];
        return new BreakEvenReport(Circumstances.Create(target, name, options.Temperature, batch))
        {
            DraftLength = tree.Depth,
            BaselineMs = cost.BaselineMs,
            BreakEven = rows[^1].BreakEven,
            Round = rows[^1].Round,
            ByDraftLength = rows,
        };
    }

    // By way of a file: a new head is in fp32 for the trainer, a loaded one in the target's dtype.
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
        text.Append(CultureInfo.InvariantCulture, $"target alone: {BaselineMs:F2} ms a token\n");
        text.Append("draft length  draft ms  verify ms  bookkeeping ms  pays above an acceptance length of\n");
        foreach (var row in ByDraftLength)
            text.Append(CultureInfo.InvariantCulture, $"{row.DraftLength,12}  {row.Round.DraftMs,8:F2}  {row.Round.VerifyMs,9:F2}  {row.Round.BookkeepingMs,14:F2}  {row.BreakEven:F2}{(row.BreakEven > row.DraftLength + 1 ? ": out of reach" : "")}\n");
        return text.ToString();
    }
}

/// <summary>A round of one draft length, and the acceptance length at which its speedup is 1; above the draft length and one it cannot be reached.</summary>
public sealed record BreakEvenRow(int DraftLength, RoundTimes Round, double BreakEven);
