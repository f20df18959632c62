namespace Koala.Lab.Evaluation.TreeFitting;

/// <summary>
/// Grows a tree node by node. The next node is, among those whose parent is in the tree, the one on the paths of the most positions.
/// </summary>
internal static class TreeGrowth
{
    /// <summary>
    /// The paths of the tree in the order in which they were added; any number of the first ones is also a tree. Paths of no position are
    /// not added.
    /// </summary>
    /// <param name="paths">The recorded rank paths.</param>
    /// <param name="nodes">The most nodes.</param>
    /// <param name="depth">The most levels.</param>
    public static IReadOnlyList<IReadOnlyList<int>> Grow(RankPaths paths, int nodes, int depth)
    {
        var counts = new Dictionary<long, int>();
        foreach (var code in paths.Answers.SelectMany(answer => answer).SelectMany(path => CodesAlong(path).Take(depth)))
            counts[code] = counts.GetValueOrDefault(code) + 1;
        // Of equal counts the smaller code comes first: shorter paths, then lower ranks.
        var open = new PriorityQueue<IReadOnlyList<int>, (int, long)>();
        void Open(IReadOnlyList<int> parent)
        {
            for (var rank = 0; rank < RankPaths.Ranks; rank++)
            {
                IReadOnlyList<int> child = [.. parent, rank];
                var code = CodeOf(child);
                if (counts.TryGetValue(code, out var count)) open.Enqueue(child, (-count, code));
            }
        }
        var tree = new List<IReadOnlyList<int>>();
        Open([]);
        while (tree.Count < nodes && open.TryDequeue(out var path, out _))
        {
            tree.Add(path);
            Open(path);
        }
        return tree;
    }

    /// <summary>
    /// The code of a path: a 1, then four bits per rank. It is 0 for a path that is deeper, or has higher ranks, than any recorded path.
    /// </summary>
    public static long CodeOf(IReadOnlyList<int> path)
    {
        var isRecorded = path.Count <= RankPaths.MostDepth && path.All(rank => rank < RankPaths.Ranks);
        return isRecorded ? path.Aggregate(1L, (code, rank) => (code << 4) + rank) : 0;
    }

    /// <summary>The codes of a path's prefixes, the shortest first.</summary>
    public static IEnumerable<long> CodesAlong(IReadOnlyList<int> path)
    {
        var code = 1L;
        foreach (var rank in path) yield return code = (code << 4) + rank;
    }
}
