using Koala.Lab.Drafting.Trees;
using Koala.Lab.Evaluation.Cost;

namespace Koala.Lab.Evaluation.TreeFitting;

/// <summary>Trees each with a node more than the one before, of which a few are timed.</summary>
/// <param name="Grown">Paths, of which any number of the first ones is a tree.</param>
/// <param name="First">Nodes of the smallest tree.</param>
/// <param name="Measured">Trees that stand for the cost of all, the smallest and the largest among them.</param>
internal sealed record TreeFamily(IReadOnlyList<IReadOnlyList<int>> Grown, int First, IReadOnlyList<DraftTree> Measured)
{
    /// <summary>The trees that are as deep; null where none grew so deep.</summary>
    public static TreeFamily? Create(IReadOnlyList<IReadOnlyList<int>> grown, int depth, IReadOnlyList<int> sizes)
    {
        var first = grown.TakeWhile(path => path.Count < depth).Count() + 1;
        if (first > grown.Count) return null;
        var timed = sizes.Where(size => size > first && size < grown.Count).Prepend(first).Append(grown.Count).Distinct();
        return new TreeFamily(grown, first, [.. timed.Select(nodes => Tree(grown, nodes))]);
    }

    /// <summary>The largest tree alone.</summary>
    public static TreeFamily Complete(IReadOnlyList<IReadOnlyList<int>> grown) => new(grown, grown.Count, [Tree(grown, grown.Count)]);

    /// <summary>Chains up to a length.</summary>
    public static TreeFamily Chains(int longest) => new([.. Enumerable.Range(1, longest).Select(length => new int[length])], 1, StepCost.Chains(longest));

    /// <summary>What is expected of each.</summary>
    public IEnumerable<FittedTree> Fit(RankPaths paths, StepCost cost)
    {
        var own = cost with { Trees = [.. cost.Trees.Where(s => Measured.Any(tree => ReferenceEquals(tree, s.Tree)))] };
        var tree = Grown.Take(First - 1).Select(TreeGrowth.CodeOf).ToHashSet();
        for (var nodes = First; nodes <= Grown.Count; nodes++)
        {
            tree.Add(TreeGrowth.CodeOf(Grown[nodes - 1]));
            IReadOnlyList<int>[] first = [.. Grown.Take(nodes)];
            yield return FittedTree.Create(first, paths.AcceptanceLength(tree), own.RoundMs(nodes));
        }
    }

    private static StaticTree Tree(IReadOnlyList<IReadOnlyList<int>> grown, int nodes) => new(TreeFitReport.TreeName, [.. grown.Take(nodes)]);
}
