using System.Text.Json;
using Microsoft.FSharp.Collections;
using Plotly.NET;

namespace Koala.Lab.Charts;

/// <summary>Koala's figures as charts of Plotly.NET.</summary>
public static class PlotlyNet
{
    /// <summary>The figure as a chart that Plotly.NET can style, combine and save. It has the same data, layout and config.</summary>
    /// <param name="figure">The figure.</param>
    public static GenericChart ToGenericChart(this Figure figure)
    {
        ArgumentNullException.ThrowIfNull(figure);
        using var document = JsonDocument.Parse(figure.Json);
        var (data, layout, config) = (Part("data"), Part("layout"), Part("config"));
        var traces = data.EnumerateArray().Select(trace => With(new Trace(trace.GetProperty("type").GetString()!), trace));
        var chart = GenericChart.ofTraceObjects(false, ListModule.OfSeq(traces));
        return GenericChart.setConfig(With(new Config(), config), GenericChart.setLayout(With(new Layout(), layout), chart));

        JsonElement Part(string name) => document.RootElement.GetProperty(name);
    }

    private static T With<T>(T part, JsonElement json)
        where T : DynamicObj.DynamicObj
    {
        foreach (var property in json.EnumerateObject()) part.SetProperty(property.Name, Value(property.Value));
        return part;
    }

    private static object? Value(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.Object => With(new DynamicObj.DynamicObj(), json),
        JsonValueKind.Array => json.EnumerateArray().Select(Value).ToArray(),
        JsonValueKind.String => json.GetString(),
        JsonValueKind.Number => json.TryGetInt64(out var whole) ? whole : json.GetDouble(),
        JsonValueKind.Null => null,
        _ => json.GetBoolean(),
    };
}
