using System.Text;

namespace Koala.Cli.Output;

/// <summary>
/// A command that can be typed. In a terminal that is too narrow for it, it is broken between its options, so that what is copied from the
/// screen still runs.
/// </summary>
/// <param name="What">What it does.</param>
/// <param name="Parts">The command and its options, each with its value.</param>
internal sealed record TypedCommand(string What, IReadOnlyList<string> Parts)
{
    private const string Indent = "  ";
    private const string Continued = " \\\n      ";

    /// <param name="width">The columns of the terminal; null where there is none.</param>
    public string Render(int? width)
    {
        var line = $"{What}: {string.Join(' ', Parts)}";
        if (width is not { } columns || line.Length <= columns) return line;
        var text = new StringBuilder($"{What}:\n{Indent}{Parts[0]}");
        var used = Indent.Length + Parts[0].Length;
        foreach (var (i, part) in Parts.Skip(1).Index())
        {
            // Behind every part but the last one a backslash may follow.
            var room = columns - (i == Parts.Count - 2 ? 0 : " \\".Length);
            var fits = used + 1 + part.Length <= room;
            text.Append(fits ? " " : Continued).Append(part);
            used = (fits ? used + 1 : Continued.Length - Continued.IndexOf('\n') - 1) + part.Length;
        }
        return text.ToString();
    }
}
