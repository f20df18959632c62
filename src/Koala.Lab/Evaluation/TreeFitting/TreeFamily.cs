using Koala.Lab.Decoding.Cost;
using Koala.Lab.Drafting.Trees;

namespace Koala.Lab.Evaluation.TreeFitting;

/// <summary>Trees of which each has one more node than the one before; a few of them are timed.</summary>
/// <param name="Grown">The paths in the order in which they were added; any number of the first ones is a tree.</param>
/// <param name="First">The number of nodes of the smallest tree.</param>
/// <param name="Measured">
/// The trees that are timed, the smallest and the largest among them; the cost of the others is interpolated.
/// </param>
internal sealed record TreeFamily(IReadOnlyList<IReadOnlyList<int>> Grown, int First, IReadOnlyList<DraftTree> Measured)
{
    /// <summary>The trees that have a depth; null where no tree grew so deep.</summary>
    public static TreeFamily? Create(IReadOnlyList<IReadOnlyList<int>> grown, int depth, IReadOnlyList<int> sizes)
    {
        var first = grown.TakeWhile(path => path.Count < depth).Count() + 1;
        if (first > grown.Count) return null;
        var between = sizes.Where(size => size > first && size < grown.Count);
        var measured = between.Prepend(first).Append(grown.Count).Distinct();
        return new TreeFamily(grown, first, [.. measured.Select(nodes => Tree(grown, nodes))]);
    }

    /// <summary>Only the largest tree.</summary>
    public static TreeFamily Complete(IReadOnlyList<IReadOnlyList<int>> grown) => new(grown, grown.Count, [Tree(grown, grown.Count)]);

    /// <summary>The chains up to a length.</summary>
    public static TreeFamily Chains(int longest)
    {
        var paths = Enumerable.Range(1, longest).Select(length => new int[length]);
        return new TreeFamily([.. paths], 1, StepCost.Chains(longest));
    }

    /// <summary>The predicted figures of each tree.</summary>
    public IEnumerable<FittedTree> Fit(RankPaths paths, StepCost cost)
    {
        var costOfFamily = cost with { Trees = [.. cost.Trees.Where(x => Measured.Any(measured => ReferenceEquals(measured, x.Tree)))] };
        var tree = Grown.Take(First - 1).Select(TreeGrowth.CodeOf).ToHashSet();
        for (var nodes = First; nodes <= Grown.Count; nodes++)
        {
            tree.Add(TreeGrowth.CodeOf(Grown[nodes - 1]));
            IReadOnlyList<int>[] first = [.. Grown.Take(nodes)];
            yield return FittedTree.Create(first, paths.AcceptanceLength(tree), costOfFamily.RoundMs(nodes));
        }
    }

    private static StaticTree Tree(IReadOnlyList<IReadOnlyList<int>> grown, int nodes) =>
        new(TreeFitReport.TreeName, [.. grown.Take(nodes)]);
}
