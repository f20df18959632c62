using System.Globalization;
using System.Text;
using System.Text.Json.Serialization;
using Koala.Lab.Drafting.Trees;

namespace Koala.Lab.Evaluation.TreeFitting;

/// <summary>A fitted tree and what is expected of it. <c>koala fit-tree</c> prints it, also as JSON.</summary>
public sealed record TreeFitReport : Circumstances
{
    internal const string TreeName = "fitted";

    /// <param name="circumstances">What the report's figures hold for.</param>
    public TreeFitReport(Circumstances circumstances) : base(circumstances)
    {
    }

    /// <summary>0: a tree is fitted to greedy answers. As it is always so, the report's JSON does not say it.</summary>
    [JsonIgnore]
    public override double Temperature => 0;

    /// <summary>1: a tree is fitted for one answer at a time. As it is always so, the report's JSON does not say it.</summary>
    [JsonIgnore]
    public override int Batch => 1;

    /// <summary>What the tree is best in.</summary>
    public required TreeFitBy By { get; init; }

    /// <summary>Prompts answered.</summary>
    public required int Prompts { get; init; }

    /// <summary>Prompts left out because they do not fit the context.</summary>
    public required int Skipped { get; init; }

    /// <summary>Places of the answers that were counted.</summary>
    public required int Positions { get; init; }

    /// <summary>The tree.</summary>
    public required FittedTree Tree { get; init; }

    /// <summary>The chain with the most tokens a second, to compare with.</summary>
    public required FittedTree Chain { get; init; }

    /// <summary>Tokens a second of the target alone, by its rounds.</summary>
    public required double BaselineTokensPerSecond { get; init; }

    /// <summary>For some numbers of nodes the tree with the most tokens a second.</summary>
    public required IReadOnlyList<FittedTree> ByNodes { get; init; }

    /// <summary>The tree's paths, as its file holds them.</summary>
    public IReadOnlyList<IReadOnlyList<int>> Paths => Shape.Paths;

    /// <summary>The tree, to decode with or to write.</summary>
    [JsonIgnore]
    public StaticTree Shape => new(TreeName, Tree.Paths);

    /// <summary>The table that the command prints.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{base.ToString()}; {Positions} places in the answers to {Prompts} prompts ({Skipped} skipped)\n");
        text.Append("            nodes  depth  acceptance length  round ms  predicted tokens/s\n");
        text.Append(CultureInfo.InvariantCulture, $"{"alone",-10}  {0,5}  {0,5}  {1,17:F2}  {1000 / BaselineTokensPerSecond,8:F2}  {BaselineTokensPerSecond,18:F0}\n");
        Line("best chain", Chain);
        foreach (var tree in ByNodes) Line("", tree);
        Line("the tree", Tree);
        text.Append(CultureInfo.InvariantCulture, $"best in {(By == TreeFitBy.Speed ? "tokens/s here" : "acceptance")}; predicted to be {Tree.TokensPerSecond / Chain.TokensPerSecond:F2} times as fast as the best chain, {Tree.TokensPerSecond / BaselineTokensPerSecond:F2} times as fast as the target alone\n");
        return text.ToString();

        void Line(string name, FittedTree tree) =>
            text.Append(CultureInfo.InvariantCulture, $"{name,-10}  {tree.Nodes,5}  {tree.Depth,5}  {tree.AcceptanceLength,17:F2}  {tree.RoundMs,8:F2}  {tree.TokensPerSecond,18:F0}\n");
    }
}

/// <summary>A tree with what is expected of it on the answers it was fitted to.</summary>
/// <param name="Paths">The tree.</param>
/// <param name="Nodes">Candidates a round.</param>
/// <param name="Depth">Levels.</param>
/// <param name="AcceptanceLength">Tokens committed a round along those answers.</param>
/// <param name="RoundMs">Milliseconds of a round, measured or between two measured ones.</param>
/// <param name="TokensPerSecond">What follows from both; reading the prompt is not counted.</param>
public sealed record FittedTree([property: JsonIgnore] IReadOnlyList<IReadOnlyList<int>> Paths, int Nodes, int Depth, double AcceptanceLength, double RoundMs, double TokensPerSecond)
{
    internal static FittedTree Create(IReadOnlyList<IReadOnlyList<int>> paths, double acceptanceLength, double roundMs) =>
        new(paths, paths.Count, paths.Max(path => path.Count), acceptanceLength, roundMs, 1000 * acceptanceLength / roundMs);
}
