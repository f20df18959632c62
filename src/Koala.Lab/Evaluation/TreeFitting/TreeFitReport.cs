using System.Globalization;
using System.Text;
using System.Text.Json.Serialization;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Runtime;

namespace Koala.Lab.Evaluation.TreeFitting;

/// <summary>A fitted tree and its predicted speed. <c>koala fit-tree</c> prints this report, also as JSON.</summary>
[TypeFormatterSource]
public sealed record TreeFitReport : Circumstances
{
    internal const string TreeName = "fitted";

    /// <param name="circumstances">What the report's figures hold for.</param>
    public TreeFitReport(Circumstances circumstances) : base(circumstances)
    {
    }

    /// <summary>0, because a tree is always fitted to greedy answers; the report's JSON leaves it out.</summary>
    [JsonIgnore]
    public override double Temperature => 0;

    /// <summary>1, because a tree is always fitted for one answer at a time; the report's JSON leaves it out.</summary>
    [JsonIgnore]
    public override int Batch => 1;

    /// <summary>What the tree is fitted for.</summary>
    public required TreeFitBy By { get; init; }

    /// <summary>The number of prompts that were answered.</summary>
    public required int Prompts { get; init; }

    /// <summary>The number of prompts that were skipped because they do not fit the context.</summary>
    public required int Skipped { get; init; }

    /// <summary>The number of positions of the answers that were counted.</summary>
    [JsonPropertyName("places")]
    public required int Positions { get; init; }

    /// <summary>The fitted tree; null if it was to be fitted for speed and other work disturbed the measurement.</summary>
    public required FittedTree? Tree { get; init; }

    /// <summary>The chain with the most tokens per second, for comparison; null if other work disturbed the measurement.</summary>
    public required FittedTree? Chain { get; init; }

    /// <summary>The baseline's tokens per second, from its rounds.</summary>
    [JsonPropertyName("aloneTokensPerSecond")]
    public required double BaselineTokensPerSecond { get; init; }

    /// <summary>The tree with the most tokens per second for some numbers of nodes.</summary>
    public required IReadOnlyList<FittedTree> ByNodes { get; init; }

    /// <summary>The paths of the tree, as in its file; empty without a tree.</summary>
    public IReadOnlyList<IReadOnlyList<int>> Paths => Shape?.Paths ?? [];

    /// <summary>The tree in the form that the decoder takes and that can be written to a file; null without a tree.</summary>
    [JsonIgnore]
    public StaticTree? Shape => Tree is null ? null : new(TreeName, Tree.Paths);

    // A tree that was fitted for acceptance alone does not depend on times.
    internal TreeFitReport WithoutSpeeds() => this with
    {
        Tree = By == TreeFitBy.Acceptance ? Tree! with { RoundMs = double.NaN, TokensPerSecond = double.NaN } : null,
        Chain = null,
        BaselineTokensPerSecond = double.NaN,
        ByNodes = [],
    };

    /// <summary>The table that the command prints.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{base.ToString()}; ");
        text.Append(CultureInfo.InvariantCulture, $"{Positions} positions in the answers to {Prompts} prompts ({Skipped} skipped)\n");
        if (Disturbances is { Count: > 0 } disturbances)
        {
            if (Tree is not null)
                text.Append(CultureInfo.InvariantCulture,
                    $"fitted for acceptance: {Tree.Nodes} nodes, depth {Tree.Depth}, acceptance length {Tree.AcceptanceLength:F2}\n");
            text.Append(CultureInfo.InvariantCulture, $"speed not measured: {Decoding.Cost.Disturbances.Line(disturbances)}\n");
            return text.ToString();
        }
        text.Append("            nodes  depth  acceptance length  round ms  predicted tokens/s\n");
        Line("baseline", 0, 0, 1, 1000 / BaselineTokensPerSecond, BaselineTokensPerSecond);
        TreeLine("best chain", Chain!);
        foreach (var tree in ByNodes) TreeLine("", tree);
        TreeLine("best tree", Tree!);
        var speed = Tree!.TokensPerSecond;
        var (overChain, overBaseline) = (speed / Chain!.TokensPerSecond, speed / BaselineTokensPerSecond);
        text.Append(CultureInfo.InvariantCulture, $"fitted for {(By == TreeFitBy.Speed ? "tokens/s on this device" : "acceptance")}; ");
        text.Append(CultureInfo.InvariantCulture, $"predicted speed: {overChain:F2} times the best chain, ");
        text.Append(CultureInfo.InvariantCulture, $"{overBaseline:F2} times the baseline\n");
        return text.ToString();

        void TreeLine(string name, FittedTree tree) =>
            Line(name, tree.Nodes, tree.Depth, tree.AcceptanceLength, tree.RoundMs, tree.TokensPerSecond);

        void Line(string name, int nodes, int depth, double acceptanceLength, double roundMs, double tokensPerSecond)
        {
            text.Append(CultureInfo.InvariantCulture, $"{name,-10}  {nodes,5}  {depth,5}  {acceptanceLength,17:F2}  ");
            text.Append(CultureInfo.InvariantCulture, $"{roundMs,8:F2}  {tokensPerSecond,18:F0}\n");
        }
    }
}

/// <summary>A tree with its predicted figures on the answers that it was fitted to.</summary>
/// <param name="Paths">The paths of the tree.</param>
/// <param name="Nodes">The number of candidates per round.</param>
/// <param name="Depth">The number of levels.</param>
/// <param name="AcceptanceLength">The tokens committed per round along those answers.</param>
/// <param name="RoundMs">The milliseconds of a round, measured or interpolated.</param>
/// <param name="TokensPerSecond">The tokens per second that follow from both, without prefill.</param>
public sealed record FittedTree(
    [property: JsonIgnore] IReadOnlyList<IReadOnlyList<int>> Paths,
    int Nodes, int Depth, double AcceptanceLength, double RoundMs, double TokensPerSecond)
{
    internal static FittedTree Create(IReadOnlyList<IReadOnlyList<int>> paths, double acceptanceLength, double roundMs) =>
        new(paths, paths.Count, paths.Max(path => path.Count), acceptanceLength, roundMs, 1000 * acceptanceLength / roundMs);
}
