using System.Globalization;
using System.Text.RegularExpressions;

namespace Koala.Lab.Results;

/// <summary>A condition on a field, such as <c>layers>=2</c>.</summary>
/// <param name="Field">The name of the field.</param>
/// <param name="Operator">One of =, !=, &lt;, &lt;=, &gt;, &gt;= and ~, which stands for "contains".</param>
/// <param name="Value">What the field is compared with, as it was written.</param>
internal sealed partial record RunCondition(string Field, string Operator, string Value)
{
    private const string Option = "Where";

    /// <summary>
    /// Reads conditions that are joined by <c>and</c> and <c>or</c>, where <c>and</c> binds more closely: a run has to satisfy all
    /// conditions of one of the lists.
    /// </summary>
    /// <exception cref="KoalaException">The text is something else.</exception>
    public static IReadOnlyList<IReadOnlyList<RunCondition>> Parse(string text)
    {
        var alternatives = new List<List<RunCondition>> { new() };
        var at = 0;
        do
        {
            var match = Condition().Match(text, at);
            if (!match.Success)
            {
                throw KoalaException.ForOption(Option, $"'{text[at..].Trim()}' is not of the form FIELD OPERATOR VALUE",
                    "write conditions such as layers>=2 and state=finished, with the operators = != < <= > >= and ~ (contains), "
                    + "and values with blanks in quotes");
            }
            var (field, sign, value) = (match.Groups["field"].Value, match.Groups["operator"].Value, match.Groups["value"].Value);
            alternatives[^1].Add(new RunCondition(field, sign, value));
            if (match.Groups["or"].Success) alternatives.Add([]);
            at += match.Length;
        }
        while (at < text.Length);
        return alternatives;
    }

    /// <summary>Whether a value satisfies the condition. A run without the field satisfies none.</summary>
    /// <exception cref="KoalaException">A number is compared with something else.</exception>
    public bool Holds(object? value) => value switch
    {
        null => false,
        double number => Operator == "~" ? Compare(ResultText.Exact(number)) : Compare(number.CompareTo(Number())),
        _ => Compare(ResultText.Exact(value)),
    };

    private bool Compare(string text) =>
        Operator == "~" ? text.Contains(Value, StringComparison.OrdinalIgnoreCase) : Compare(string.CompareOrdinal(text, Value));

    private bool Compare(int order) => Operator switch
    {
        "=" => order == 0,
        "!=" => order != 0,
        "<" => order < 0,
        "<=" => order <= 0,
        ">" => order > 0,
        _ => order >= 0,
    };

    private double Number() => double.TryParse(Value, NumberStyles.Float, CultureInfo.InvariantCulture, out var number)
        ? number
        : throw KoalaException.ForOption(Option, $"compares {Field}, which is a number, with '{Value}'", "compare it with a number");

    [GeneratedRegex("""
        \G\s*(?<field>[A-Za-z][\w.\-\[\]]*)\s*(?<operator><=|>=|!=|=|<|>|~)\s*
        (?:'(?<value>[^']*)'|"(?<value>[^"]*)"|(?<value>[^\s'"<>=!~]+))(?:\s+and\s+(?=\S)|\s+(?<or>or)\s+(?=\S)|\s*$)
        """, RegexOptions.IgnorePatternWhitespace | RegexOptions.ExplicitCapture)]
    private static partial Regex Condition();
}
