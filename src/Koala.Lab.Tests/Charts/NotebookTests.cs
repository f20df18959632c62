using System.Collections;
using Koala.Lab.Charts;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Evaluation;
using Koala.Lab.Evaluation.Comparison;
using Microsoft.Data.Analysis;

namespace Koala.Lab.Tests.Charts;

/// <summary>The convention by which .NET kernels find out how to show a type, through names only.</summary>
public sealed class NotebookTests
{
    [Fact]
    public void Types_declare_the_formats_they_are_shown_in()
    {
        Assert.Equal([Figure.PlotlyMimeType, "text/html", "text/plain"], Preferred(typeof(Figure)));
        foreach (var type in new[] { typeof(DecodingTrace), typeof(Generation), typeof(EvaluationReport),
            typeof(ColouredText) })
            Assert.Equal(["text/html", "text/plain"], Preferred(type));
    }

    [Fact]
    public void A_figure_is_written_in_each_mime_type()
    {
        var figure = Chart.AcceptanceLength(Sample.Trace);
        Assert.Equal(figure.Json, Show(figure, Figure.PlotlyMimeType));
        Assert.Equal(figure.Html, Show(figure, "text/html"));
        Assert.Equal(figure.ToString(), Show(figure, "text/plain"));
    }

    [Fact]
    public void A_type_that_is_no_figure_has_no_plotly()
    {
        using var writer = new StringWriter();
        Assert.False(Format(Sample.Trace, Figure.PlotlyMimeType, writer));
        Assert.Equal("", writer.ToString());
    }

    [Fact]
    public void A_comparison_is_shown_as_its_table()
    {
        var report = Sample.Reports[0];
        var comparison = new ComparisonReport("a<b", "c", report.Target, 1, 0, []) { Summary = "no difference" };
        var table = comparison.ToString().TrimEnd().Replace("<", "&lt;", StringComparison.Ordinal);
        Assert.Equal($"<pre>{table}</pre>", Show(comparison, "text/html"));
    }

    [Fact]
    public void A_kernel_gets_formatters_for_data_frames()
    {
        NotebookFormatters.Register(typeof(Formatter));
        using var writer = new StringWriter();
        Formatter.Registered[(typeof(DataFrame), "text/html")](Table.From(Sample.Trace), writer);
        Assert.StartsWith("<table", writer.ToString(), StringComparison.Ordinal);
        Assert.Contains((typeof(DataFrame), "text/plain"), Formatter.Registered.Keys);
        Assert.Equal(["text/html", "text/plain"], Formatter.Preferred[typeof(DataFrame)]);
        Assert.Contains("Register",
            Assert.Throws<KoalaException>(() => NotebookFormatters.Register(typeof(string))).Message,
            StringComparison.Ordinal);
    }

    /// <summary>Shows a value as a kernel does.</summary>
    public static string Show(object shown, string mimeType)
    {
        using var writer = new StringWriter();
        Assert.True(Format(shown, mimeType, writer));
        return writer.ToString();
    }

    private static bool Format(object shown, string mimeType, StringWriter writer)
    {
        var type = (Type)Property(Mark(shown.GetType()), "FormatterSourceType")!;
        var source = Activator.CreateInstance(type)!;
        foreach (var formatter in (IEnumerable)type.GetMethod("CreateTypeFormatters")!.Invoke(source, null)!)
            if ((string)Property(formatter, "MimeType")! == mimeType)
                return (bool)formatter.GetType()
                    .GetMethod("Format", [typeof(object), typeof(TextWriter)])!
                    .Invoke(formatter, [shown, writer])!;
        throw new InvalidOperationException($"no formatter of {mimeType}");
    }

    private static IEnumerable<string> Preferred(Type type) => (string[])Property(Mark(type), "PreferredMimeTypes")!;

    private static object Mark(Type type) =>
        type.GetCustomAttributes(false).Single(a => a.GetType().Name == "TypeFormatterSourceAttribute");

    private static object? Property(object of, string name) => of.GetType().GetProperty(name)!.GetValue(of);

    /// <summary>The methods of Microsoft.DotNet.Interactive.Formatting.Formatter that are called.</summary>
    private static class Formatter
    {
        public static Dictionary<(Type, string), Action<object, TextWriter>> Registered { get; } = [];

        public static Dictionary<Type, string[]> Preferred { get; } = [];

        public static void Register(Type type, Action<object, TextWriter> formatter, string mimeType) =>
            Registered[(type, mimeType)] = formatter;

        public static void SetPreferredMimeTypesFor(Type type, params string[] preferredMimeTypes) =>
            Preferred[type] = preferredMimeTypes;
    }
}
