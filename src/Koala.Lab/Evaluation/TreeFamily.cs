using Koala.Lab.Heads.Trees;

namespace Koala.Lab.Evaluation;

/// <summary>Trees each with a node more than the one before, of which a few are timed.</summary>
/// <param name="Grown">Paths, of which any number of the first ones is a tree.</param>
/// <param name="First">Nodes of the smallest tree.</param>
/// <param name="Timed">Trees that stand for the cost of all, the smallest and the largest among them.</param>
internal sealed record TreeFamily(IReadOnlyList<IReadOnlyList<int>> Grown, int First, IReadOnlyList<DraftShape> Timed)
{
    /// <summary>The trees that are as deep; null where none grew so deep.</summary>
    public static TreeFamily? Of(IReadOnlyList<IReadOnlyList<int>> grown, int depth, IReadOnlyList<int> sizes)
    {
        var first = grown.TakeWhile(path => path.Count < depth).Count() + 1;
        if (first > grown.Count) return null;
        var timed = sizes.Where(size => size > first && size < grown.Count).Prepend(first).Append(grown.Count).Distinct();
        return new TreeFamily(grown, first, [.. timed.Select(nodes => Tree(grown, nodes))]);
    }

    /// <summary>The largest tree alone.</summary>
    public static TreeFamily Whole(IReadOnlyList<IReadOnlyList<int>> grown) => new(grown, grown.Count, [Tree(grown, grown.Count)]);

    /// <summary>Chains up to a length.</summary>
    public static TreeFamily Chains(int longest) => new([.. Enumerable.Range(1, longest).Select(length => new int[length])], 1, StepCost.Chains(longest));

    /// <summary>What is expected of each.</summary>
    public IEnumerable<FittedTree> Fit(RankPaths paths, StepCost cost)
    {
        var own = cost with { Shapes = [.. cost.Shapes.Where(s => Timed.Any(shape => ReferenceEquals(shape, s.Shape)))] };
        var tree = Grown.Take(First - 1).Select(TreeGrowth.CodeOf).ToHashSet();
        for (var nodes = First; nodes <= Grown.Count; nodes++)
        {
            tree.Add(TreeGrowth.CodeOf(Grown[nodes - 1]));
            IReadOnlyList<int>[] first = [.. Grown.Take(nodes)];
            yield return FittedTree.Of(first, paths.AcceptanceLength(tree), own.RoundMs(nodes));
        }
    }

    private static StaticShape Tree(IReadOnlyList<IReadOnlyList<int>> grown, int nodes) => new(TreeFitReport.TreeName, [.. grown.Take(nodes)]);
}
