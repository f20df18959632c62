using System.Globalization;
using Koala.Lab.Drafting.Trees;

namespace Koala.Lab.Evaluation;

/// <summary>
/// An acceptance that a head is assumed to have: measured elsewhere, on another device or with another head, or made up. With the
/// cost of rounds on this device it predicts a speedup.
/// </summary>
/// <param name="ByPosition">
/// The conditional acceptance of each position: of the rounds that accepted all candidates before it, the share that accepts it too. Each
/// from 0 to 1.
/// </param>
/// <param name="From">Where it comes from: the name of a report, or the numbers as they were given.</param>
public sealed record AssumedAcceptance(IReadOnlyList<double> ByPosition, string From)
{
    // Shares such as 0.7, 0.2 and 0.1 add up to a little more than 1.
    private const double Rounding = 1e-9;

    /// <summary>
    /// For trees, by depth and then by child rank: of the rounds that reached a node with a child of this rank, the share that accepts this
    /// child. The shares of the first rank are <see cref="ByPosition"/>. Null if only the acceptance of chains is known.
    /// </summary>
    public IReadOnlyList<IReadOnlyList<double>>? ByRank { get; init; }

    /// <summary>The measured report that it was taken from; null if it was not measured.</summary>
    internal EvaluationReport? Report { get; init; }

    /// <summary>
    /// The acceptance length of a chain: 1 + α₁ + α₁α₂ + …; NaN for a chain longer than the positions that are known.
    /// </summary>
    /// <param name="draftLength">The number of tokens of the chain.</param>
    public double LengthOf(int draftLength)
    {
        if (draftLength > ByPosition.Count) return double.NaN;
        var (length, reached) = (1.0, 1.0);
        foreach (var acceptance in ByPosition.Take(draftLength)) length += reached *= acceptance;
        return length;
    }

    /// <summary>
    /// The acceptance length of a tree: 1, and for each candidate the product of the shares on its path, as if the acceptance at a depth
    /// did not depend on which ranks were accepted before it. NaN if a share that the tree needs is not known.
    /// </summary>
    /// <remarks>
    /// A dynamic tree counts as the tree of its size whose candidates have the largest products. It adapts to each round, and so do the
    /// shares that were measured with one.
    /// </remarks>
    /// <param name="tree">The tree.</param>
    public double LengthOf(DraftTree tree)
    {
        ArgumentNullException.ThrowIfNull(tree);
        return tree switch
        {
            ChainTree chain => LengthOf(chain.Length),
            StaticTree paths when ByRank is not null => 1 + paths.Paths.Sum(path => AcceptanceOf(path, ByRank)),
            DynamicTree dynamic when ByRank is not null => 1 + AcceptanceOf(dynamic, ByRank),
            _ => double.NaN,
        };
    }

    /// <summary>
    /// Reads the acceptance of a chain, such as <c>0.8,0.7,0.65</c>, or of a tree, whose ranks are separated by colons:
    /// <c>0.6:0.1,0.7:0.1</c>. Or takes what a saved report measured.
    /// </summary>
    /// <param name="text">The numbers, or the file of a report.</param>
    /// <exception cref="KoalaException">
    /// It is neither, a number is not from 0 to 1, the ranks of a depth add up to more than 1, or the report has no acceptance.
    /// </exception>
    public static AssumedAcceptance Read(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (File.Exists(text)) return Of(ReportFiles.Load(text), text);
        double[][] shares = [.. text.Split(',').Select(depth => depth.Split(':', StringSplitOptions.TrimEntries).Select(Number).ToArray())];
        if (!shares.All(depth => Array.TrueForAll(depth, share => share is >= 0 and <= 1)))
            throw KoalaException.ForOption("AssumeAcceptance", $"is '{MessageText.Text(text)}', which is no file and no list of shares",
                "give numbers from 0 to 1, such as 0.8,0.7,0.65 (by rank 0.6:0.1,0.7:0.1), or the file of a report");
        if (Array.FindIndex(shares, depth => depth.Sum() > 1 + Rounding) is >= 0 and var depth)
            throw KoalaException.ForOption("AssumeAcceptance",
                $"has ranks at depth {depth + 1} that add up to more than 1, but a node has at most one accepted child",
                "lower them");
        double[] first = [.. shares.Select(depth => depth[0])];
        return new AssumedAcceptance(first, text) { ByRank = Array.Exists(shares, depth => depth.Length > 1) ? shares : null };
    }

    /// <summary>The acceptance that a report measured: by position for a chain, by depth and rank for a tree.</summary>
    /// <param name="report">The report.</param>
    /// <param name="from">The name that is shown for it.</param>
    /// <exception cref="KoalaException">The report has no such acceptance.</exception>
    public static AssumedAcceptance Of(EvaluationReport report, string from)
    {
        ArgumentNullException.ThrowIfNull(report);
        if (report.Tree is { Name: not "chain" } tree)
        {
            if (report.TreeNodeAcceptance is not { Count: > 0 } byRank)
                throw new KoalaException(from, $"is about the tree {tree.Name}, but has no acceptance by depth and rank",
                    "measure the head with a draft length or with a tree that has branches");
            return new AssumedAcceptance([.. byRank.Select(depth => depth[0])], from) { ByRank = byRank, Report = report };
        }
        return report.PositionAcceptance.Count > 0
            ? new AssumedAcceptance(report.PositionAcceptance, from) { Report = report }
            : throw new KoalaException(from, "has no position acceptance, since nothing was drafted", "measure a head");
    }

    // The product of the shares on a path. Beyond a share of 0 nothing needs to be known.
    private static double AcceptanceOf(IReadOnlyList<int> path, IReadOnlyList<IReadOnlyList<double>> byRank)
    {
        var product = 1.0;
        for (var depth = 0; depth < path.Count && product > 0; depth++)
            product *= depth < byRank.Count && path[depth] < byRank[depth].Count ? byRank[depth][path[depth]] : double.NaN;
        return product;
    }

    // The sum of the products over the candidates of a dynamic tree, which grows as it does in a round.
    private static double AcceptanceOf(DynamicTree tree, IReadOnlyList<IReadOnlyList<double>> byRank)
    {
        var (all, expanded) = (new List<double>(), (IReadOnlyList<double>)[1]);
        for (var depth = 0; depth < tree.Depth; depth++)
        {
            if (depth == byRank.Count) return double.NaN;
            var shares = byRank[depth].Take(tree.TopK);
            var children = expanded.SelectMany(product => shares.Select(share => product * share)).OrderDescending().ToArray();
            all.AddRange(children);
            expanded = [.. children.Take(tree.TopK)];
        }
        return all.Count < tree.Nodes ? double.NaN : all.OrderDescending().Take(tree.Nodes).Sum();
    }

    // Not a number becomes NaN, which is no share.
    private static double Number(string text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number : double.NaN;
}
