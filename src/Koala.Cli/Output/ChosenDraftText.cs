using System.Globalization;
using Koala.Lab.Decoding.Cost;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Evaluation;

namespace Koala.Cli.Output;

/// <summary>The line on standard error that says which chain or tree was chosen, and why; and the options that set it again.</summary>
internal static class ChosenDraftText
{
    public static string Render(DraftLengthChoice choice) => choice.Tree is DynamicTree tree
        ? $"{Tree(tree.Tokens, tree.Depth)}, {Reason(choice)}; {string.Join(' ', Options(tree.Tokens, tree.Depth, tree.TopK))} sets it"
        : $"draft length {choice.Length}, {Reason(choice)}; --draft-length sets it";

    public static string Render(EvaluationReport report)
    {
        var busy = report.Disturbed == true ? ", while the machine was busy" : "";
        var reason = $"chosen for this device by a short measurement{busy}";
        return report.Tree is { Name: "dynamic" } tree
            ? $"{Tree(tree.Nodes + 1, tree.Depth)}, {reason}; {string.Join(' ', OptionsOf(report))} sets it"
            : $"draft length {report.DraftLength}, {reason}; --draft-length sets it";
    }

    /// <summary>The options that set the draft that a report is about: a chain or a dynamic tree.</summary>
    public static string[] OptionsOf(EvaluationReport report) => report.Tree is { Name: "dynamic" } tree
        ? Options(tree.Nodes + 1, tree.Depth, tree.TopK!.Value)
        : ["--draft-length", $"{report.DraftLength}"];

    private static string[] Options(int tokens, int levels, int topK) =>
        ["--tree", "dynamic", "--tree-tokens", $"{tokens}", "--tree-levels", $"{levels}", "--tree-top-k", $"{topK}"];

    private static string Tree(int tokens, int levels) => $"dynamic tree of {tokens} tokens and {levels} levels";

    private static string Reason(DraftLengthChoice choice)
    {
        if (choice.Disturbances.Count > 0)
            return "chosen for this device by a short measurement while the machine was busy: on a quiet machine it may be another";
        if (double.IsNaN(choice.Speedup)) return "the longest, because no round was measured";
        var speedup = choice.Speedup.ToString("F2", CultureInfo.InvariantCulture);
        var slower = choice.Speedup < 1 ? ", which is slower" : "";
        return $"chosen for this device: {speedup} times as fast as the baseline in a short measurement{slower}{OtherKind(choice)}";
    }

    // What the best draft of the other kind would have given.
    private static string OtherKind(DraftLengthChoice choice)
    {
        var others = choice.Candidates.Where(candidate => candidate.Tree is ChainTree != choice.Tree is null && candidate.Speedup > 0);
        if (others.MaxBy(candidate => candidate.Speedup) is not { } best) return "";
        var name = best.Tree is ChainTree ? $"a chain of {best.Tree.Depth}" : $"a tree of {best.Tree.Nodes + 1} tokens";
        return $" ({name}: {best.Speedup.ToString("F2", CultureInfo.InvariantCulture)})";
    }
}
