namespace Koala.Lab.Charts.Drawing;

/// <summary>
/// The layout of a tree, in pixels: levels from left to right, each as wide as its longest label, and rows from top to bottom.
/// </summary>
internal sealed class DrawnTree
{
    /// <summary>The distance from row to row.</summary>
    public const double RowHeight = 22;

    /// <summary>The title of the axis of levels.</summary>
    public const string Axis = "level (siblings in verification order, from top to bottom)";

    /// <summary>The least width, which the title needs.</summary>
    public const double MinimumWidth = 420;

    /// <summary>The distance from a node's centre to its label.</summary>
    public const double LabelGap = 8;

    // The space between the longest label of a level and the nodes of the next level, in which the edges bend.
    private const double EdgeRoom = 20;
    private const double Bend = 12;
    private const double Widest = 690;
    private const int LongestLabel = 14;
    private const int ShortestLabel = 3;

    private readonly double[] _levels;
    private readonly int _label;

    /// <param name="title">The title of the picture.</param>
    /// <param name="nodes">The nodes: the root first, then parents before children; rows count from 0.</param>
    public DrawnTree(string title, IReadOnlyList<DrawnNode> nodes)
    {
        (Title, Nodes) = (title, nodes);
        // The labels of a deep tree are shortened until it fits the page.
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

    /// <summary>The x coordinate of each level's nodes.</summary>
    public IReadOnlyList<double> Levels => _levels[..^1];

    /// <summary>The fates that occur in the tree, in the order of the legend.</summary>
    public IEnumerable<Fate> Fates
    {
        get
        {
            Fate[] inLegend = [Fate.Accepted, Fate.Bonus, Fate.Rejected];
            return inLegend.Where(fate => Nodes.Any(node => node.Fate == fate));
        }
    }

    public (double X, double Y) At(DrawnNode node) => (_levels[node.Level], (node.Row + 0.5) * RowHeight);

    /// <summary>The text beside a node, shortened to the space that there is.</summary>
    public string Label(DrawnNode node) =>
        node.Fate == Fate.Root || node.Text.Length <= _label ? node.Text : $"{node.Text[..(_label - 1)]}…";

    /// <summary>
    /// The corners of the edge from a node's parent. The edge goes along the parent's row, down in front of the node's level, and then to
    /// the node.
    /// </summary>
    public IReadOnlyList<(double X, double Y)> Edge(DrawnNode node)
    {
        var parent = Nodes[node.Parent];
        var ((fromX, fromY), (toX, toY)) = (At(parent), At(node));
        var start = fromX + LabelGap + SvgText.WidthOf(Label(parent)) + 3;
        return fromY == toY
            ? [(start, fromY), (toX - 6, toY)]
            : [(start, fromY), (toX - Bend, fromY), (toX - Bend, toY), (toX - 6, toY)];
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

    // The x coordinates of the levels, and the end of the last level's labels.
    private double[] LevelsFor()
    {
        var x = new List<double> { 8 };
        foreach (var level in Nodes.GroupBy(node => node.Level).OrderBy(g => g.Key))
        {
            var widestLabel = level.Max(node => SvgText.WidthOf(Label(node)));
            x.Add(x[^1] + LabelGap + widestLabel + EdgeRoom);
        }
        x[^1] += 8 - EdgeRoom;
        return [.. x];
    }
}

/// <summary>A node of a drawn tree.</summary>
/// <param name="Text">The full text of the token.</param>
/// <param name="Parent">The index of the parent; -1 for the root.</param>
/// <param name="Level">The level; 0 for the root.</param>
/// <param name="Row">The row, counted from the top.</param>
/// <param name="Fate">Whether the token was accepted, rejected or the bonus token.</param>
/// <param name="P">The target's probability of the token; null for the root.</param>
/// <param name="Q">The head's probability of the token; null if the head did not propose it.</param>
internal sealed record DrawnNode(string Text, int Parent, int Level, int Row, Fate Fate, float? P, float? Q);

/// <summary>The result of verification for a token.</summary>
internal enum Fate
{
    Root,
    Accepted,
    Rejected,
    Bonus,
}
