using System.Globalization;
using Koala.Lab.Charts.Tables;

namespace Koala.Lab.Charts.Drawing;

/// <summary>A tree as a table whose tokens are indented by level: the text/plain of its figure.</summary>
internal static class TreeTable
{
    public static TextTable Create(DrawnTree tree) => new(
        [new Column("token", Number: false), new Column("p"), new Column("q"), new Column("", Number: false)],
        [.. tree.Nodes.Select(Row)])
    {
        Title = tree.Title,
        Note = "p: the target's probability, q: the head's",
    };

    public static string Number(float? value) => value?.ToString("F3", CultureInfo.InvariantCulture) ?? "";

    private static IReadOnlyList<string> Row(DrawnNode node) =>
    [
        new string(' ', 2 * node.Level) + node.Text,
        Number(node.P),
        Number(node.Q),
        node.Fate == Fate.Root ? "" : DrawnTree.NameOf(node.Fate),
    ];
}
