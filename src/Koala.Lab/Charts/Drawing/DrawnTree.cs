namespace Koala.Lab.Charts.Drawing;

/// <summary>A tree as it is drawn: levels from left to right, each as wide as its longest label, rows from top to bottom. In pixels.</summary>
internal sealed class DrawnTree
{
    /// <summary>From row to row.</summary>
    public const double RowHeight = 22;

    /// <summary>What is said of the levels.</summary>
    public const string Axis = "level (siblings: the first judged above)";

    /// <summary>As wide as the title needs at least.</summary>
    public const double Least = 420;

    /// <summary>From a node's middle to its label.</summary>
    public const double LabelGap = 8;

    // Between the longest label of a level and the nodes of the next: there edges bend.
    private const double EdgeRoom = 20;
    private const double Bend = 12;
    private const double Widest = 690;
    private const int LongestLabel = 14;
    private const int ShortestLabel = 3;

    private readonly double[] _levels;
    private readonly int _label;

    /// <param name="title">What is seen.</param>
    /// <param name="nodes">The root, then parents before children, rows from 0.</param>
    public DrawnTree(string title, IReadOnlyList<DrawnNode> nodes)
    {
        (Title, Nodes) = (title, nodes);
        // Of a deep tree labels are cut until it fits the page.
        for (_label = LongestLabel; ; _label--)
        {
            _levels = LevelsFor();
            if (_label == ShortestLabel || Width <= Widest) break;
        }
    }

    public string Title { get; }

    public IReadOnlyList<DrawnNode> Nodes { get; }

    public int Rows => Nodes.Max(node => node.Row) + 1;

    public double Width => _levels[^1];

    public double Height => Rows * RowHeight;

    /// <summary>Where each level's nodes stand.</summary>
    public IReadOnlyList<double> Levels => _levels[..^1];

    /// <summary>What is told apart, in the order of a legend; those that are there.</summary>
    public IEnumerable<Fate> Fates => ((Fate[])[Fate.Accepted, Fate.Bonus, Fate.Rejected]).Where(fate => Nodes.Any(node => node.Fate == fate));

    public (double X, double Y) At(DrawnNode node) => (_levels[node.Level], (node.Row + 0.5) * RowHeight);

    /// <summary>What stands beside a node.</summary>
    public string Label(DrawnNode node) => node.Fate == Fate.Root || node.Text.Length <= _label ? node.Text : $"{node.Text[..(_label - 1)]}…";

    /// <summary>The corners of the edge from a node's parent: along the parent's row, then down before the node's level, then to the node.</summary>
    public IReadOnlyList<(double X, double Y)> Edge(DrawnNode node)
    {
        var parent = Nodes[node.Parent];
        var ((fromX, fromY), (toX, toY)) = (At(parent), At(node));
        var start = fromX + LabelGap + SvgText.WidthOf(Label(parent)) + 3;
        return fromY == toY ? [(start, fromY), (toX - 6, toY)] : [(start, fromY), (toX - Bend, fromY), (toX - Bend, toY), (toX - 6, toY)];
    }

    public static string NameOf(Fate fate) => fate switch
    {
        Fate.Accepted => "accepted",
        Fate.Bonus => "bonus token",
        Fate.Rejected => "rejected",
        _ => "root",
    };

    public static string ColourOf(Fate fate) => fate switch
    {
        Fate.Bonus => Colours.Orange,
        Fate.Rejected => Colours.Muted,
        _ => Colours.Blue,
    };

    // Where the levels stand, and where the last one's labels end.
    private double[] LevelsFor()
    {
        var x = new List<double> { 8 };
        foreach (var level in Nodes.GroupBy(node => node.Level).OrderBy(g => g.Key)) x.Add(x[^1] + LabelGap + level.Max(node => SvgText.WidthOf(Label(node))) + EdgeRoom);
        x[^1] += 8 - EdgeRoom;
        return [.. x];
    }
}

/// <summary>A node of a drawn tree.</summary>
/// <param name="Text">Beside it, whole.</param>
/// <param name="Parent">Index of its parent; -1: the root.</param>
/// <param name="Level">0 for the root.</param>
/// <param name="Row">From the top.</param>
/// <param name="Fate">What came of it.</param>
/// <param name="P">The target's probability of it; null for the root.</param>
/// <param name="Q">The head's; null where the head did not propose it.</param>
internal sealed record DrawnNode(string Text, int Parent, int Level, int Row, Fate Fate, float? P, float? Q);

/// <summary>What came of a token.</summary>
internal enum Fate
{
    Root,
    Accepted,
    Rejected,
    Bonus,
}
