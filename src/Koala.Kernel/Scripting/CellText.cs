using System.Text.RegularExpressions;

namespace Koala.Kernel.Scripting;

/// <summary>A part of a cell in one language.</summary>
/// <param name="Directive">The directive in its first line, without <c>#!</c>; the language of the cell if there is none.</param>
/// <param name="Argument">The text after the directive on the same line.</param>
/// <param name="Text">
/// The lines after the directive. Before them are as many empty lines as they have lines before them in the cell, so
/// that line numbers stay those of the cell.
/// </param>
internal sealed record CellPart(string Directive, string Argument, string Text)
{
    public bool IsEmpty => string.IsNullOrWhiteSpace(Text);
}

/// <summary>
/// Splits a cell at the lines that begin with <c>#!</c>. The compiler would read such a line as the path of a program.
/// </summary>
internal static partial class CellText
{
    /// <param name="code">The text of the cell.</param>
    /// <param name="language">The language of the lines before the first directive.</param>
    public static IReadOnlyList<CellPart> Split(string code, string language = CellLanguage.CSharp)
    {
        var lines = code.ReplaceLineEndings("\n").Split('\n');
        var parts = new List<CellPart>();
        var (directive, argument, start) = (language, "", 0);
        for (var i = 0; i <= lines.Length; i++)
        {
            var match = i < lines.Length ? DirectiveLine().Match(lines[i]) : null;
            if (match is { Success: false }) continue;
            parts.Add(new CellPart(directive, argument, new string('\n', start) + string.Join('\n', lines[start..i])));
            if (match is not null) (directive, argument, start) = (match.Groups[1].Value, match.Groups[2].Value.Trim(), i + 1);
        }
        // Before a directive in the first line there is an empty part, which is left out.
        return [.. parts.Where((part, i) => !part.IsEmpty || i > 0 && part.Directive != CellLanguage.CSharp)];
    }

    [GeneratedRegex(@"^#!(\S+)(.*)$")]
    private static partial Regex DirectiveLine();
}
