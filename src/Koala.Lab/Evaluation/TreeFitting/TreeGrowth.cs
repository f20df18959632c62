namespace Koala.Lab.Evaluation.TreeFitting;

/// <summary>Grows a tree a node at a time: always the node, among those whose parent is in, that lies on the paths of the most places.</summary>
internal static class TreeGrowth
{
    /// <summary>The tree's paths in the order they came in: any number of the first ones is a tree too. Paths of no place do not come.</summary>
    /// <param name="paths">What was counted.</param>
    /// <param name="nodes">The most nodes.</param>
    /// <param name="depth">The most levels.</param>
    public static IReadOnlyList<IReadOnlyList<int>> Grow(RankPaths paths, int nodes, int depth)
    {
        var places = new Dictionary<long, int>();
        foreach (var code in paths.Answers.SelectMany(answer => answer).SelectMany(path => CodesAlong(path).Take(depth)))
            places[code] = places.GetValueOrDefault(code) + 1;
        // Of equals the smaller code: shorter paths first, then lower ranks.
        var open = new PriorityQueue<IReadOnlyList<int>, (int, long)>();
        void Open(IReadOnlyList<int> parent)
        {
            for (var rank = 0; rank < RankPaths.Ranks; rank++)
            {
                IReadOnlyList<int> child = [.. parent, rank];
                var code = CodeOf(child);
                if (places.TryGetValue(code, out var count)) open.Enqueue(child, (-count, code));
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

    /// <summary>A path as a number: a one, then four bits a rank. Ranks beyond those looked at are on no path, nor is what is deeper than they are long.</summary>
    public static long CodeOf(IReadOnlyList<int> path) =>
        path.Count > RankPaths.MostDepth || path.Any(rank => rank >= RankPaths.Ranks) ? 0 : path.Aggregate(1L, (code, rank) => (code << 4) + rank);

    /// <summary>The numbers of a path's beginnings, the shortest first.</summary>
    public static IEnumerable<long> CodesAlong(IReadOnlyList<int> path)
    {
        var code = 1L;
        foreach (var rank in path) yield return code = (code << 4) + rank;
    }
}
