using System.Text.RegularExpressions;

namespace Koala.Kernel.Scripting;

/// <summary>One stretch of a cell in one language, with its first line of the cell.</summary>
/// <param name="Directive">The directive at its head without <c>#!</c>, <c>csharp</c> where there is none.</param>
/// <param name="Argument">What stands behind the directive on its line.</param>
/// <param name="Text">The lines below, behind as many empty lines as come before them in the cell: line numbers stay those of the cell.</param>
internal sealed record CellPart(string Directive, string Argument, string Text)
{
    public bool IsEmpty => string.IsNullOrWhiteSpace(Text);
}

/// <summary>A cell cut at its lines that begin with <c>#!</c>: the compiler takes such a line for the path of a program.</summary>
internal static partial class CellText
{
    public static IReadOnlyList<CellPart> Split(string code)
    {
        var lines = code.ReplaceLineEndings("\n").Split('\n');
        var parts = new List<CellPart>();
        var (directive, argument, start) = ("csharp", "", 0);
        for (var i = 0; i <= lines.Length; i++)
        {
            var match = i < lines.Length ? DirectiveLine().Match(lines[i]) : null;
            if (match is { Success: false }) continue;
            parts.Add(new CellPart(directive, argument, new string('\n', start) + string.Join('\n', lines[start..i])));
            if (match is not null) (directive, argument, start) = (match.Groups[1].Value, match.Groups[2].Value.Trim(), i + 1);
        }
        // In front of a directive on the first line there is nothing.
        return [.. parts.Where(part => part.Directive != "csharp" || !part.IsEmpty)];
    }

    [GeneratedRegex(@"^#!(\S+)(.*)$")]
    private static partial Regex DirectiveLine();
}
