using System.Text;
using System.Text.Json.Nodes;
using Microsoft.DotNet.Interactive.Formatting;

namespace Koala.Kernel.Display;

/// <summary>Converts a value to the MIME types that front ends show. Plain text is always one of them.</summary>
internal static class MimeBundle
{
    public const string PlainText = "text/plain";
    public const string Html = "text/html";

    private const string StyleStart = "<style>\n.dni-code-hint";
    private const string StyleEnd = "</style>";

    /// <summary>
    /// Formats a value with <see cref="Formatter"/>, as the given MIME types. If there are none, the result has those
    /// that the type of the value prefers, and plain text.
    /// </summary>
    public static IReadOnlyList<FormattedValue> Format(object? value, params string[] mimeTypes)
    {
        var formatted = FormattedValue.CreateManyFromObject(value, mimeTypes);
        if (mimeTypes.Length > 0 || formatted.Any(f => f.MimeType == PlainText)) return formatted;
        return [.. formatted, new FormattedValue(PlainText, value.ToDisplayString(PlainText))];
    }

    public static JsonObject From(IReadOnlyList<FormattedValue> values)
    {
        var data = new JsonObject();
        foreach (var value in values)
        {
            // A message holds JSON types as JSON, not as text.
            data[value.MimeType] = value.MimeType == Html ? FigureLoader.AppendTo(WithoutNeedlessStyle(value.Value))
                : value.MimeType.EndsWith("json", StringComparison.Ordinal) && TryParse(value.Value) is { } json ? json
                : value.Value;
        }
        return data;
    }

    // The formatter appends 500 bytes of style to every number, but only its trees and tables need them.
    private static string WithoutNeedlessStyle(string html)
    {
        if (html.Contains("class=\"dni-treeview\"", StringComparison.Ordinal)) return html;
        var start = html.IndexOf(StyleStart, StringComparison.Ordinal);
        if (start < 0) start = html.IndexOf(StyleStart.Replace("\n", "\r\n", StringComparison.Ordinal), StringComparison.Ordinal);
        var end = start < 0 ? -1 : html.IndexOf(StyleEnd, start, StringComparison.Ordinal);
        return end < 0 ? html : string.Concat(html.AsSpan(0, start), html.AsSpan(end + StyleEnd.Length));
    }

    private static JsonNode? TryParse(string text)
    {
        try
        {
            return StrictJson.Parse(Encoding.UTF8.GetBytes(text));
        }
        catch (System.Text.Json.JsonException)
        {
            return null;
        }
    }
}
