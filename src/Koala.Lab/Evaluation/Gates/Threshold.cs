using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Koala.Lab.Evaluation.Gates;

/// <summary>A figure of a report, its value when the gate was made, and how far it may move.</summary>
/// <param name="Figure">The figure by its names in the report's JSON, such as acceptanceLength.mean or positionAcceptance[0].</param>
/// <param name="Value">The value: a number, a word, true or false. What is no number must be the same.</param>
public sealed record Threshold(string Figure, JsonElement Value)
{
    /// <summary>How far the figure may lie below the value: a number, or a text such as 2%. Null means as far as it likes.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public JsonElement? Below { get; init; }

    /// <summary>How far it may lie above the value. Null means as far as it likes.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public JsonElement? Above { get; init; }

    /// <summary>The lowest number that passes; null if there is none.</summary>
    internal double? Lowest => Below is { } below ? Value.GetDouble() - Amount(below) : null;

    /// <summary>The highest number that passes; null if there is none.</summary>
    internal double? Highest => Above is { } above ? Value.GetDouble() + Amount(above) : null;

    /// <summary>Why the threshold says nothing; null if it does.</summary>
    internal string? Fault()
    {
        if (string.IsNullOrWhiteSpace(Figure)) return "has no figure";
        var isNumber = Value.ValueKind == JsonValueKind.Number;
        if (Value.ValueKind is not (JsonValueKind.Number or JsonValueKind.String or JsonValueKind.True or JsonValueKind.False))
            return $"the value of {Figure} is neither a number, a word, true nor false";
        if (isNumber && Below is null && Above is null) return $"{Figure} has neither below nor above";
        if (!isNumber && (Below ?? Above) is not null) return $"{Figure} is no number, so it has no below and no above";
        return (JsonElement?[])[Below, Above] is var limits && limits.Any(limit => limit is { } given && !IsAmount(given))
            ? $"below or above of {Figure} is neither a number from 0 on nor a text such as \"2%\""
            : null;
    }

    /// <summary>Checks a report.</summary>
    /// <param name="report">The report's JSON.</param>
    /// <exception cref="KoalaException">The report has no such figure.</exception>
    internal ThresholdResult Check(JsonElement report)
    {
        var found = FigurePath.Find(report, Figure);
        // A figure that was not measured is null, and does not pass.
        var passed = found.ValueKind == Value.ValueKind && (Value.ValueKind == JsonValueKind.Number
            ? !(found.GetDouble() < Lowest) && !(found.GetDouble() > Highest)
            : found.ToString() == Value.ToString())
            || (found.ValueKind, Value.ValueKind) is (JsonValueKind.True, JsonValueKind.True) or (JsonValueKind.False, JsonValueKind.False);
        return new ThresholdResult(this, found, passed);
    }

    private double Amount(JsonElement limit) => limit.ValueKind == JsonValueKind.Number
        ? limit.GetDouble()
        : Math.Abs(Value.GetDouble()) * Percent(limit)!.Value / 100;

    private static bool IsAmount(JsonElement limit) => limit.ValueKind switch
    {
        JsonValueKind.Number => limit.GetDouble() >= 0,
        JsonValueKind.String => Percent(limit) >= 0,
        _ => false,
    };

    private static double? Percent(JsonElement text) => text.GetString() is { } word && word.EndsWith('%')
        && double.TryParse(word[..^1], NumberStyles.Float, CultureInfo.InvariantCulture, out var percent) ? percent : null;
}

/// <summary>A threshold and what a report says.</summary>
/// <param name="Threshold">The threshold.</param>
/// <param name="Measured">The report's value; null in JSON if it was not measured.</param>
/// <param name="Passed">Whether it is within the threshold.</param>
public sealed record ThresholdResult(Threshold Threshold, JsonElement Measured, bool Passed)
{
    /// <summary>A row of the table.</summary>
    public override string ToString()
    {
        var bounds = (Threshold.Lowest, Threshold.Highest) switch
        {
            ({ } low, { } high) => string.Create(CultureInfo.InvariantCulture, $"{low:G6} to {high:G6}"),
            ({ } low, null) => string.Create(CultureInfo.InvariantCulture, $"at least {low:G6}"),
            (null, { } high) => string.Create(CultureInfo.InvariantCulture, $"at most {high:G6}"),
            _ => Shown(Threshold.Value),
        };
        return $"{(Passed ? "passed" : "FAILED"),-8}{Threshold.Figure,-32}{Shown(Measured),-16}{bounds}";
    }

    private static string Shown(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => "not measured",
        JsonValueKind.Number => value.GetDouble().ToString("G6", CultureInfo.InvariantCulture),
        JsonValueKind.True => "true",
        JsonValueKind.False => "false",
        _ => value.ToString(),
    };
}
