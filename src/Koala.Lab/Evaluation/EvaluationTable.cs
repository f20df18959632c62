using System.Globalization;
using System.Text;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Cost;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Evaluation.Acceptance;
using Koala.Lab.Evaluation.Statistics;

namespace Koala.Lab.Evaluation;

/// <summary>Renders the report of an evaluation in plain text.</summary>
internal static class EvaluationTable
{
    // A share of fewer rounds than this would change by a tenth or more with one of them.
    private const int FewestRounds = 10;

    public static string Render(EvaluationReport r)
    {
        var text = new StringBuilder();
        void Line(string name, FormattableString value) =>
            text.Append(CultureInfo.InvariantCulture, $"{name,-20}{value.ToString(CultureInfo.InvariantCulture)}\n");
        Line("target, head", $"{r.Target}, {r.Head}");
        Line("on", $"{r.Setup}, {RenderDraft(r)}");
        if (r.Acceptance != AcceptanceMode.Lossless)
            Line("acceptance", $"typical: not lossless, the answers have another distribution than the target's");
        Line("prompts", $"{r.Prompts} ({r.Skipped} skipped), {r.Tokens} tokens");
        Line("acceptance length", $"{r.AcceptanceLength.Mean:F2} {IntervalText.Render(r.AcceptanceLength, r.Batch)}");
        Line("position acceptance", $"{string.Join("  ", PositionAcceptance(r))}");
        foreach (var (i, shares) in (r.TreeNodeAcceptance ?? []).Index())
            Line($"at depth {i + 1}", $"{DecodingTrace.Ranks(shares)} (by child rank)");
        if (r.PredictedAcceptanceLength is { } length)
            Line("predicted length", $"{length:F2} by depth and rank alone, {length / r.AcceptanceLength.Mean:P0} of the measured one");
        if (r.NAlpha.Count > 0) Line("n-alpha", $"{Row(r.NAlpha)}");
        if (r.ByContextLength is { Count: > 1 } bins) Line("by context length", $"{string.Join("  ", bins.Select(RenderBin))}");
        if (r.Calibration is { } calibration)
            Line("calibration error", $"{calibration.Error:F3} over {calibration.Bins.Sum(bin => bin.Tokens)} tokens");
        if (SpeedsMissing(r) is { } missing)
        {
            Line("speed", $"{missing}");
        }
        else
        {
            Line("baseline", $"{r.Baseline.TokensPerSecond:F0} tokens/s");
            Line("with the head", $"{r.Speculative.TokensPerSecond:F0} tokens/s");
            Line("speedup", $"{r.Speedup.Median:F2} {IntervalText.Render(r.Speedup, r.Batch)}{NotDistinguishable(r)}");
            if (double.IsFinite(r.BreakEven))
                Line("cost model", $"predicted speedup {r.Predicted:F2}; break-even acceptance length {r.BreakEven:F2}");
            if (r.Floor is { } floor) Line("memory floor", $"{floor}");
            if (r.DraftCandidates is { Count: > 0 } candidates) Line("draft chosen from", $"{RenderCandidates(candidates)}");
            Line("round", $"draft {r.Round.DraftMs:F2} ms, verify {r.Round.VerifyMs:F2} ms, bookkeeping {r.Round.BookkeepingMs:F2} ms");
        }
        if (r.Lossless is { } lossless)
            Line("lossless", $"{(lossless ? "yes" : "no")} ({r.RenderEqual()})");
        return text.ToString();
    }

    /// <summary>The draft of a round: the length of a chain, or a tree.</summary>
    public static string RenderDraft(EvaluationReport r) => r.Tree is null or { Name: "chain" }
        ? string.Create(
            CultureInfo.InvariantCulture, $"draft length {r.DraftLength}{(r.DraftLengthChosen ? " (chosen)" : "")}{RenderCut(r)}")
        : string.Create(CultureInfo.InvariantCulture,
            $"tree {r.Tree.Name} ({r.Tree.Nodes} nodes, depth {r.Tree.Depth}){(r.DraftLengthChosen ? " (chosen)" : "")}");

    // The fastest chain, and what was measured of each tree.
    private static string RenderCandidates(IReadOnlyList<CandidateReport> candidates)
    {
        var chains = candidates.Where(candidate => candidate.Tree.Name == "chain").ToArray();
        var trees = candidates.Except(chains).Select(tree =>
            string.Create(CultureInfo.InvariantCulture, $"tree of {tree.Tree.Nodes} nodes ")
            + (double.IsNaN(tree.Speedup) ? "not tried" : Speedup(tree)));
        var best = chains.MaxBy(chain => chain.Speedup)!;
        return string.Join(", ", trees.Prepend(
            string.Create(CultureInfo.InvariantCulture, $"{chains.Length} chains, the best of {best.Tree.Depth} tokens ") + Speedup(best)));

        static string Speedup(CandidateReport candidate) => candidate.Speedup.ToString("F2", CultureInfo.InvariantCulture);
    }

    private static string RenderBin(ContextBin bin) => bin.Rounds < FewestRounds
        ? string.Create(CultureInfo.InvariantCulture, $"{bin.Name}: ({bin.Rounds} rounds)")
        : string.Create(CultureInfo.InvariantCulture, $"{bin.Name}: {bin.AcceptanceLength:F2}");

    private static string RenderCut(EvaluationReport r) => r.ConfidenceThreshold is { } threshold
        ? string.Create(CultureInfo.InvariantCulture, $", cut below confidence {threshold}")
        : "";

    /// <summary>Why the report has no speeds; null if it has them.</summary>
    public static string? SpeedsMissing(EvaluationReport r)
    {
        if (r.Disturbances is { Count: > 0 } disturbances) return $"not measured: {Disturbances.Line(disturbances)}";
        if (double.IsFinite(r.Speedup.Median)) return null;
        return "not measured: the answers are too short. Fix: give more prompts, or let the answers have more tokens";
    }

    /// <summary>Each share, or how few rounds it would be from.</summary>
    public static IEnumerable<string> PositionAcceptance(EvaluationReport r) => r.PositionAcceptance.Select((share, i) =>
        r.PositionRounds is { } rounds && rounds[i] < FewestRounds
            ? string.Create(CultureInfo.InvariantCulture, $"({rounds[i]} rounds)")
            : share.ToString("F2", CultureInfo.InvariantCulture));

    private static string NotDistinguishable(EvaluationReport r) =>
        r.SpeedupIsClear || IntervalText.Missing(r.Speedup, r.Batch) is not null ? "" : ", not distinguishable from 1 (95 % CI)";

    private static string Row(IEnumerable<double> shares) =>
        string.Join("  ", shares.Select(a => a.ToString("F2", CultureInfo.InvariantCulture)));
}
