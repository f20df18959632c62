using System.Globalization;
using System.Text.RegularExpressions;

namespace Koala.Lab.Results;

/// <summary>Values of results as texts.</summary>
public static partial class ResultText
{
    /// <summary>A value for people: numbers with about four digits, times in UTC to the minute; no value is an empty text.</summary>
    /// <param name="value">A value of a <see cref="ResultTable"/>.</param>
    public static string Rounded(object? value) => value switch
    {
        double number => number.ToString(Math.Abs(number) >= 1000 ? "0.#" : "G4", CultureInfo.InvariantCulture),
        string text when Time().IsMatch(text) => $"{text[..10]} {text[11..16]}",
        _ => Exact(value),
    };

    /// <summary>A value for programs: numbers with all their digits.</summary>
    /// <param name="value">A value of a <see cref="ResultTable"/>.</param>
    public static string Exact(object? value) => value switch
    {
        null => "",
        bool flag => flag ? "true" : "false",
        double number => number.ToString("R", CultureInfo.InvariantCulture),
        _ => value.ToString()!,
    };

    // Times in JSON are in UTC.
    [GeneratedRegex(@"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*(\+00:00|Z)\z")]
    private static partial Regex Time();
}
