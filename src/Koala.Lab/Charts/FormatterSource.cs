using System.Collections;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Evaluation;

namespace Koala.Lab.Charts;

/// <summary>How Koala's types are shown. Kernels find it through the attribute on the types and call it by the names of its members.</summary>
internal sealed class FormatterSource
{
    private readonly Formatter[] _formatters = [new("text/html"), new("text/plain"), new(Figure.PlotlyMimeType)];

    /// <summary>One formatter a mime type.</summary>
    public IEnumerable CreateTypeFormatters() => _formatters;

    /// <summary>Writes any of the types in one mime type.</summary>
    internal sealed class Formatter(string mimeType)
    {
        /// <summary>What it writes.</summary>
        public string MimeType { get; } = mimeType;

        /// <returns>Whether it wrote the object.</returns>
        public bool Format(object shown, TextWriter writer)
        {
            var text = MimeType switch
            {
                "text/plain" => shown is Generation answer ? Reports.Text(answer) : shown.ToString(),
                "text/html" => ToHtml(shown),
                _ => (shown as Figure)?.Json,
            };
            writer.Write(text);
            return text is not null;
        }
    }

    private static string? ToHtml(object shown) => shown switch
    {
        Figure figure => figure.Html,
        ColouredText text => text.Html,
        DecodingTrace trace => Reports.Html(trace),
        EvaluationReport report => Reports.Html(report),
        Generation generation => Reports.Html(generation),
        _ => null,
    };
}
