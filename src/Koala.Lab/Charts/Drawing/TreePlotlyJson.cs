using System.Globalization;
using Plotly.NET;
using static Koala.Lab.Charts.Drawing.PlotlyParts;
using Part = DynamicObj.DynamicObj;

namespace Koala.Lab.Charts.Drawing;

/// <summary>A tree as plotly's JSON: its axes count pixels, so that labels, which keep their size, keep their distance.</summary>
internal static class TreePlotlyJson
{
    private const int Left = 12;
    private const int Right = 10;
    private const int Top = 44;

    public static string Create(DrawnTree tree)
    {
        var (width, height) = (Math.Ceiling(Math.Max(DrawnTree.Least, tree.Width)), (int)Math.Max(tree.Height, 3 * DrawnTree.RowHeight));
        var layout = Layout(tree.Title, Top + height + 74, New(("l", Left), ("r", Right), ("t", Top), ("b", 74)), legendBelow: 48.0 / height,
            ("width", Left + width + Right),
            ("showlegend", true), ("hovermode", "closest"), ("dragmode", "pan"),
            ("xaxis", Axis(0, width, ("title", Title(DrawnTree.Axis, ("standoff", 6))), ("tickvals", tree.Levels.Skip(1).ToArray()), ("ticktext", Enumerable.Range(1, tree.Levels.Count - 1).Select(level => level.ToString(CultureInfo.InvariantCulture)).ToArray()))),
            ("yaxis", Axis(height, 0, ("visible", false))));
        // What was kept lies over what was not.
        return Figure(layout, [.. tree.Fates.Reverse().Select(fate => Edges(tree, fate)), .. tree.Fates.Prepend(Fate.Root).Select(fate => Nodes(tree, fate))]);
    }

    private static Part Axis(double from, double to, params (string, object?)[] more) =>
        Set(New(("range", new[] { from, to }), ("showgrid", false), ("zeroline", false)), more);

    private static Trace Edges(DrawnTree tree, Fate fate)
    {
        // A null lifts the pen.
        var corners = tree.Nodes.Where(node => node.Fate == fate).SelectMany(node => tree.Edge(node).Select(at => ((double?)at.X, (double?)at.Y)).Append((null, null))).ToArray();
        return Set(new Trace("scatter"), ("mode", "lines"), ("showlegend", false), ("hoverinfo", "skip"),
            ("x", corners.Select(at => Tenth(at.Item1)).ToArray()), ("y", corners.Select(at => Tenth(at.Item2)).ToArray()),
            ("line", New(("color", DrawnTree.ColourOf(fate)), ("width", fate == Fate.Rejected ? 1 : 2), ("dash", fate == Fate.Bonus ? "4px,3px" : null))));
    }

    private static Trace Nodes(DrawnTree tree, Fate fate)
    {
        DrawnNode[] nodes = [.. tree.Nodes.Where(node => node.Fate == fate)];
        var probabilities = fate switch { Fate.Root => "", Fate.Bonus => "<br>p %{customdata[1]}", _ => "<br>p %{customdata[1]}, q %{customdata[2]}" };
        return Set(new Trace("scatter"), ("name", DrawnTree.NameOf(fate)), ("showlegend", fate != Fate.Root),
            ("mode", "markers+text"), ("textposition", "middle right"), ("cliponaxis", false),
            ("x", nodes.Select(node => Tenth(tree.At(node).X)).ToArray()), ("y", nodes.Select(node => Tenth(tree.At(node).Y)).ToArray()),
            ("text", nodes.Select(node => Markup(tree.Label(node))).ToArray()),
            ("customdata", nodes.Select(node => new[] { Markup(node.Text), TreeTable.Number(node.P), TreeTable.Number(node.Q) }).ToArray()),
            ("hovertemplate", $"%{{customdata[0]}}{probabilities}<extra>{DrawnTree.NameOf(fate)}</extra>"),
            ("marker", New(("size", 8), ("color", DrawnTree.ColourOf(fate)), ("symbol", fate is Fate.Rejected or Fate.Root ? "circle-open" : "circle"), ("line", New(("width", 1.5), ("color", DrawnTree.ColourOf(fate)))))));
    }

    private static double? Tenth(double? value) => value is { } x ? Math.Round(x, 1) : null;
}
