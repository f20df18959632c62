using System.Globalization;

namespace Koala.Lab.Charts.Drawing;

/// <summary>
/// Draws a tree as a small SVG for places that run no scripts. If the front end shows titles, hovering over a token shows p and q.
/// </summary>
internal static class TreeSvg
{
    private const double Top = 62;

    public static string Draw(DrawnTree tree)
    {
        var svg = new SvgText();
        svg.Text(8, 20, tree.Title, more: " font-size=\"15\" font-weight=\"600\"");
        Legend(svg, tree);
        // Accepted edges are drawn over rejected ones.
        foreach (var fate in tree.Fates.Reverse()) Edges(svg, tree, fate);
        foreach (var node in tree.Nodes)
        {
            var (x, y) = tree.At(node);
            svg.Dot(x, y + Top, DrawnTree.ColourOf(node.Fate), hollow: node.Fate is Fate.Rejected or Fate.Root, Facts(node));
            var faint = node.Fate == Fate.Rejected ? " fill-opacity=\".75\"" : "";
            svg.Text(x + DrawnTree.LabelGap, y + Top + 4, tree.Label(node), more: faint);
        }
        for (var level = 1; level < tree.Levels.Count; level++)
            svg.Text(tree.Levels[level], Top + tree.Height + 16, level.ToString(CultureInfo.InvariantCulture), "middle");
        svg.Text(8, Top + tree.Height + 34, DrawnTree.Axis);
        return svg.Finish(Math.Max(DrawnTree.MinimumWidth, tree.Width), Top + tree.Height + 42, tree.Title);
    }

    private static void Legend(SvgText svg, DrawnTree tree)
    {
        var x = 12.0;
        foreach (var fate in tree.Fates)
        {
            svg.Dot(x, 42, DrawnTree.ColourOf(fate), hollow: fate == Fate.Rejected);
            svg.Text(x + DrawnTree.LabelGap, 46, DrawnTree.NameOf(fate));
            x += SvgText.WidthOf(DrawnTree.NameOf(fate)) + 34;
        }
    }

    private static void Edges(SvgText svg, DrawnTree tree, Fate fate)
    {
        static string Coordinates((double X, double Y) corner) =>
            string.Create(CultureInfo.InvariantCulture, $"{corner.X:0.#} {corner.Y + Top:0.#}");
        var edges = tree.Nodes.Where(node => node.Fate == fate).Select(node => $"M{string.Join('L', tree.Edge(node).Select(Coordinates))}");
        var stroke = $"stroke=\"{DrawnTree.ColourOf(fate)}\" stroke-width=\"{(fate == Fate.Rejected ? 1 : 2)}\"";
        var dashes = fate == Fate.Bonus ? " stroke-dasharray=\"4 3\"" : "";
        svg.Path(string.Concat(edges), $"fill=\"none\" {stroke} stroke-linejoin=\"round\"{dashes}");
    }

    private static string? Facts(DrawnNode node)
    {
        if (node.P is null) return null;
        var q = node.Q is null ? "" : $", q {TreeTable.Number(node.Q)}";
        return $"{node.Text}: {DrawnTree.NameOf(node.Fate)}, p {TreeTable.Number(node.P)}{q}";
    }
}
