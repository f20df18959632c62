using System.Text.Json;
using Koala.Lab.Charts;
using Plotly.NET;

namespace Koala.Lab.Tests.Charts;

/// <summary>A figure as a chart of Plotly.NET, whose JSON is that of the figure.</summary>
public sealed class PlotlyNetTests
{
    [Theory, MemberData(nameof(Sample.Names), MemberType = typeof(Sample))]
    public void A_chart_of_Plotly_NET_has_the_data_and_the_layout_of_the_figure(string name)
    {
        var figure = Sample.All[name]();
        var chart = figure.ToGenericChart();
        var (expected, found) = (Parse(figure.Json), Parse(GenericChart.toFigureJson(chart)));
        foreach (var part in (string[])["data", "layout"])
            Assert.True(JsonElement.DeepEquals(expected.GetProperty(part), found.GetProperty(part)), part);
        Assert.False((bool)GenericChart.getConfig(chart).TryGetPropertyValue("showSendToCloud")!.Value);
    }

    /// <summary>No other part of Koala needs F#'s library, of which a process can have one version only.</summary>
    [Fact]
    public void Without_the_package_nothing_refers_to_FSharp()
    {
        var library = typeof(Koala.Lab.Charts.Figure).Assembly;
        Assert.DoesNotContain(library.GetReferencedAssemblies(), name => name.Name is "FSharp.Core" or "Plotly.NET" or "DynamicObj");
        Assert.Contains(typeof(PlotlyNet).Assembly.GetReferencedAssemblies(), name => name.Name == "FSharp.Core");
    }

    private static JsonElement Parse(string json) => JsonDocument.Parse(json).RootElement;
}
