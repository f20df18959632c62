using System.Globalization;
using System.Text.Json.Nodes;
using static Koala.Lab.Charts.Drawing.PlotlyParts;

namespace Koala.Lab.Charts.Drawing;

/// <summary>Writes a tree as plotly's JSON. The axes count pixels, because the labels have a fixed size.</summary>
internal static class TreePlotlyJson
{
    private const int Left = 12;
    private const int Right = 10;
    private const int Top = 44;

    public static string Create(DrawnTree tree)
    {
        var width = Math.Ceiling(Math.Max(DrawnTree.MinimumWidth, tree.Width));
        var height = (int)Math.Max(tree.Height, 3 * DrawnTree.RowHeight);
        var margin = New(("l", Left), ("r", Right), ("t", Top), ("b", 74));
        var levels = Enumerable.Range(1, tree.Levels.Count - 1).Select(level => level.ToString(CultureInfo.InvariantCulture)).ToArray();
        var levelAxis = Axis(0, width,
            ("title", Title(DrawnTree.Axis, ("standoff", 6))), ("tickvals", tree.Levels.Skip(1).ToArray()), ("ticktext", levels));
        var layout = Layout(tree.Title, Top + height + 74, margin, legendBelow: 48.0 / height,
            ("width", Left + width + Right),
            ("showlegend", true), ("hovermode", "closest"), ("dragmode", "pan"),
            ("xaxis", levelAxis),
            ("yaxis", Axis(height, 0, ("visible", false))));
        // Accepted edges are drawn over rejected ones.
        var edges = tree.Fates.Reverse().Select(fate => Edges(tree, fate));
        var nodes = tree.Fates.Prepend(Fate.Root).Select(fate => Nodes(tree, fate));
        return Figure(layout, [.. edges, .. nodes]);
    }

    private static JsonObject Axis(double from, double to, params (string, object?)[] more) =>
        Set(New(("range", new[] { from, to }), ("showgrid", false), ("zeroline", false)), more);

    private static JsonObject Edges(DrawnTree tree, Fate fate)
    {
        // A null interrupts the line after each edge.
        IEnumerable<(double? X, double? Y)> Corners(DrawnNode node) =>
            tree.Edge(node).Select(corner => ((double?)corner.X, (double?)corner.Y)).Append((null, null));
        var corners = tree.Nodes.Where(node => node.Fate == fate).SelectMany(Corners).ToArray();
        var (width, dashes) = (fate == Fate.Rejected ? 1 : 2, fate == Fate.Bonus ? "4px,3px" : null);
        var line = New(("color", DrawnTree.ColourOf(fate)), ("width", width), ("dash", dashes));
        return Trace("scatter", ("mode", "lines"), ("showlegend", false), ("hoverinfo", "skip"),
            ("x", corners.Select(corner => Tenth(corner.X)).ToArray()),
            ("y", corners.Select(corner => Tenth(corner.Y)).ToArray()),
            ("line", line));
    }

    private static JsonObject Nodes(DrawnTree tree, Fate fate)
    {
        DrawnNode[] nodes = [.. tree.Nodes.Where(node => node.Fate == fate)];
        var probabilities = fate switch
        {
            Fate.Root => "",
            Fate.Bonus => "<br>p %{customdata[1]}",
            _ => "<br>p %{customdata[1]}, q %{customdata[2]}",
        };
        string[] Texts(DrawnNode node) => [Markup(node.Text), TreeTable.Number(node.P), TreeTable.Number(node.Q)];
        var colour = DrawnTree.ColourOf(fate);
        var marker = New(("size", 8), ("color", colour), ("symbol", fate is Fate.Rejected or Fate.Root ? "circle-open" : "circle"),
            ("line", New(("width", 1.5), ("color", colour))));
        return Trace("scatter", ("name", DrawnTree.NameOf(fate)), ("showlegend", fate != Fate.Root),
            ("mode", "markers+text"), ("textposition", "middle right"), ("cliponaxis", false),
            ("x", nodes.Select(node => Tenth(tree.At(node).X)).ToArray()),
            ("y", nodes.Select(node => Tenth(tree.At(node).Y)).ToArray()),
            ("text", nodes.Select(node => Markup(tree.Label(node))).ToArray()),
            ("customdata", nodes.Select(Texts).ToArray()),
            ("hovertemplate", $"%{{customdata[0]}}{probabilities}<extra>{DrawnTree.NameOf(fate)}</extra>"),
            ("marker", marker));
    }

    private static double? Tenth(double? value) => value is { } x ? Math.Round(x, 1) : null;
}
