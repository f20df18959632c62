using System.Collections;
using Koala.Lab.Charts.Tables;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Evaluation;
using Koala.Lab.Evaluation.Diagnosis;
using Koala.Lab.Results;
using Koala.Lab.Sweeps;

namespace Koala.Lab.Charts;

/// <summary>
/// Formats Koala's types for notebooks. Kernels find this class through the attribute on the types and call its members by name.
/// </summary>
internal sealed class FormatterSource
{
    private readonly Formatter[] _formatters = [new("text/html"), new("text/plain"), new(Figure.PlotlyMimeType)];

    /// <summary>Creates one formatter per mime type.</summary>
    public IEnumerable CreateTypeFormatters() => _formatters;

    /// <summary>Writes values of any of the types in one mime type.</summary>
    internal sealed class Formatter(string mimeType)
    {
        /// <summary>The mime type that this formatter writes.</summary>
        public string MimeType { get; } = mimeType;

        /// <returns>Whether the formatter wrote the value.</returns>
        public bool Format(object value, TextWriter writer)
        {
            var text = MimeType switch
            {
                "text/plain" => value is Generation answer ? Reports.Text(answer) : value.ToString(),
                "text/html" => ToHtml(value),
                _ => (value as Figure)?.Json,
            };
            writer.Write(text);
            return text is not null;
        }
    }

    private static string ToHtml(object value) => value switch
    {
        Figure figure => figure.Html,
        ColouredText text => text.Html,
        DecodingTrace trace => Reports.Html(trace),
        EvaluationReport report => Reports.Html(report),
        Sweep sweep => Reports.Html(sweep.Summarize()),
        SweepSummary summary => Reports.Html(summary),
        Generation generation => Reports.Html(generation),
        RunTable runs => Reports.Html(runs),
        HeadDiagnosis head => Reports.Html(head),
        ResultTable table => ResultTableText.From(table).ToHtml(),
        // Other reports are tables of text. Without this, kernels would show a tree of their properties.
        _ => $"<pre>{Html.Escape(value.ToString()!.TrimEnd())}</pre>",
    };
}
