using System.Text.Json;
using Koala.Lab.Checkpoints;
using Koala.Lab.Runtime.Files;
using static TorchSharp.torch;

namespace Koala.Lab.Drafting.Trees;

/// <summary>
/// A tree that is the same in every round, whatever the candidates are. Its nodes are paths of child ranks, like
/// Medusa's choices.
/// </summary>
/// <remarks>
/// [0, 2] is the head's third choice after its first one. Where candidates are drawn, the children of a node are draws
/// without replacement, in the order in which they were drawn.
/// </remarks>
public sealed record StaticTree : DraftTree
{
    private const int LongestFile = 1 << 20;

    private readonly Level[] _levels;

    /// <param name="name">The name that reports and errors use: a name or the file.</param>
    /// <param name="paths">The nodes in any order, each a list of ranks counted from 0.</param>
    /// <exception cref="KoalaException">
    /// The paths are not a tree: a parent is missing, a node occurs twice, a path is empty, a rank is negative, or
    /// there are too many nodes.
    /// </exception>
    public StaticTree(string name, IEnumerable<IReadOnlyList<int>> paths)
    {
        int[][] nodes = [.. paths.Select(path => path?.ToArray() ?? [])];
        Check(name, nodes);
        Array.Sort(nodes, Compare);
        (Name, Paths, _levels) = (name, nodes, [.. LevelsOf(nodes)]);
    }

    /// <summary>The names of published trees.</summary>
    public static IReadOnlyList<string> Names => [.. PublishedTrees.All.Keys];

    /// <inheritdoc/>
    public override string Name { get; }

    /// <summary>The nodes: parents before children, siblings by rank.</summary>
    public IReadOnlyList<IReadOnlyList<int>> Paths { get; }

    /// <inheritdoc/>
    public override int Depth => _levels.Length;

    /// <inheritdoc/>
    public override int Nodes => Paths.Count;

    /// <summary>Finds a published tree by its name, or reads one from a file.</summary>
    /// <param name="nameOrFile">
    /// One of <see cref="Names"/>, or a file with a JSON list of paths, each a list of child ranks.
    /// </param>
    /// <exception cref="KoalaException">There is no such name or file, or the file does not hold a tree.</exception>
    public static StaticTree Find(string nameOrFile)
    {
        if (PublishedTrees.All.TryGetValue(nameOrFile, out var published)) return new StaticTree(nameOrFile, published);
        if (!File.Exists(nameOrFile))
            throw KoalaException.ForOption("Tree", $"{nameOrFile} is no file, and no tree has that name",
                $"name a file of paths, or chain, dynamic, {string.Join(", ", Names)}");
        return new StaticTree(nameOrFile, Read(nameOrFile));
    }

    /// <summary>Writes the tree as a file that <see cref="Find"/> reads, with one path per line.</summary>
    /// <exception cref="KoalaException">The file cannot be written.</exception>
    public void Save(string file)
    {
        var lines = Paths.Select(path => JsonSerializer.Serialize(path, JsonFormat.Line));
        AtomicFile.WriteText(file, $"[\n{string.Join(",\n", lines)}\n]\n");
    }

    /// <summary>
    /// For each level, the number of candidates of the level before that have children: those that a drafter has to
    /// process. The first is the root.
    /// </summary>
    internal IReadOnlyList<int> Widths => [.. _levels.Select(level => level.Parents.Count)];

    internal override IReadOnlyList<Draft> Grow(LevelDrafter drafter, ITokenSampler sampler)
    {
        using var scope = NewDisposeScope();
        var trees = Enumerable.Range(0, drafter.Batch).Select(_ => new TreeBuilder(Nodes)).ToArray();
        foreach (var level in _levels)
        {
            int[] TokensOf(TreeBuilder tree) => [.. level.Parents.Select(tree.TokenOf)];
            var logits = level.First == 0
                ? drafter.First()
                : drafter.Next([.. trees.Select(TokensOf)], [.. trees.Select(_ => level.Grandparents)]);
            var sampled = drafter.Sample(sampler, logits, level.Ranks, level.Parents.Count);
            foreach (var (parent, rank, order) in level.Children)
                for (var b = 0; b < trees.Length; b++)
                {
                    var choices = sampled[b * level.Parents.Count + parent];
                    // Drawn candidates are taken in the order of the draws, whatever their ranks are.
                    var isDrawn = choices.Length > 0 && choices[0].Distribution is not null;
                    var choice = isDrawn ? order : rank;
                    trees[b].Add(level.Parents[parent], choice < choices.Length ? choices[choice] : null);
                }
        }
        return [.. trees.Select(tree => tree.Draft())];
    }

    private static int[][] Read(string file)
    {
        try
        {
            return JsonSerializer.Deserialize<int[][]>(JsonFile.Read(file, LongestFile), JsonFormat.Line) ?? [];
        }
        catch (JsonException e)
        {
            throw new KoalaException(file,
                "is no JSON list of paths, each a list of whole numbers",
                "write it as [[0],[1],[0,0]], or fit one with koala fit-tree", e);
        }
    }

    private static void Check(string name, int[][] nodes)
    {
        KoalaException Fault(string fault, MessageTemplate fix) => new(name, fault, fix);
        if (nodes.Length == 0) throw Fault(Range(nodes.Length), $"add [0], or set {new OptionName("Tree")} to chain");
        if (nodes.Length > MaxNodes) throw Fault(Range(nodes.Length), "take the likeliest ones");
        var seen = new HashSet<string>();
        foreach (var node in nodes)
        {
            if (node.Length == 0) throw Fault("has an empty path, but the root belongs to every tree", "take it out");
            if (node.Any(rank => rank < 0))
                throw Fault($"{Text(node)} has a negative rank, but ranks count from 0", "correct the path");
            if (!seen.Add(Text(node))) throw Fault($"has {Text(node)} twice", "take one out");
        }
        bool IsOrphan(int[] node) => node.Length > 1 && !seen.Contains(Text(node[..^1]));
        if (nodes.FirstOrDefault(IsOrphan) is { } orphan)
            throw Fault($"has {Text(orphan)}, but not its parent {Text(orphan[..^1])}", "add the parent, or take the node out");
    }

    private static string Range(int nodes) => $"has {nodes} nodes, but a tree has 1 to {MaxNodes}";

    private static string Text(int[] path) => $"[{string.Join(',', path)}]";

    private static int Compare(int[] a, int[] b)
    {
        if (a.Length != b.Length) return a.Length - b.Length;
        var difference = Enumerable.Range(0, a.Length).FirstOrDefault(i => a[i] != b[i]);
        return a[difference] - b[difference];
    }

    private static IEnumerable<Level> LevelsOf(int[][] nodes)
    {
        var index = Enumerable.Range(0, nodes.Length).ToDictionary(i => Text(nodes[i]));
        IReadOnlyList<int> before = [];   // the parents of the level before
        foreach (var level in Enumerable.Range(0, nodes.Length).GroupBy(i => nodes[i].Length))
        {
            int ParentOf(int node) => nodes[node].Length == 1 ? -1 : index[Text(nodes[node][..^1])];
            int[] parents = [.. level.Select(ParentOf).Distinct()];
            int[] grandparents = [.. parents.Select(p => p < 0 ? 0 : before.ToList().IndexOf(ParentOf(p)))];
            IEnumerable<Child> ChildrenOf(IGrouping<int, int> siblings) =>
                siblings.Select((node, order) => new Child(Array.IndexOf(parents, siblings.Key), nodes[node][^1], order));
            Child[] children = [.. level.GroupBy(ParentOf).SelectMany(ChildrenOf)];
            yield return new Level(level.First(), parents, grandparents, children, children.Max(c => c.Rank) + 1);
            before = parents;
        }
    }

    // The nodes of one depth. First is the index of the first of them. Parents are the nodes of the depth before that
    // have children, -1 for the root. Grandparents are the indices of the parents' parents among the Parents of the
    // level before. Ranks is the number of choices that each parent needs.
    private sealed record Level(
        int First, IReadOnlyList<int> Parents, int[] Grandparents, IReadOnlyList<Child> Children, int Ranks);

    // Parent is the index of the child's parent among the level's Parents, and Order is the child's index among its
    // siblings.
    private readonly record struct Child(int Parent, int Rank, int Order);
}
