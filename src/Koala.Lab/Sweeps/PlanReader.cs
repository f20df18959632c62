using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Koala.Lab.Sweeps;

/// <summary>
/// Reads the JSON of a plan into settings: the values of the options that are set, one setting for each point of the sweep.
/// </summary>
/// <param name="source">The plan's file, which messages name; null if the plan was given as options.</param>
/// <param name="options">The options that a sweep can set, by name.</param>
internal sealed partial class PlanReader(string? source, IReadOnlyDictionary<string, SweepOption> options)
{
    /// <summary>The most points of a sweep; more are a mistake in a range.</summary>
    private const int MostSettings = 100_000;

    private const string Base = "base";
    private const string Grid = "grid";
    private const string List = "list";
    private const string Evaluate = "evaluate";
    private static readonly string[] s_keys =
        [nameof(SweepPlan.Target), nameof(SweepPlan.Dtype), nameof(SweepPlan.Device), nameof(SweepPlan.Threads)];

    // An option of koala train that a grid over the weight of the adversary replaces.
    private const string Controls = "withControls";

    /// <summary>The keys of a plan.</summary>
    private static IEnumerable<string> Keys => s_keys.Select(JsonNamingPolicy.CamelCase.ConvertName).Concat([Base, Grid, List, Evaluate]);

    /// <summary>The settings of a plan: each entry of its list with each point of its grid, in order.</summary>
    /// <exception cref="KoalaException">A key is unknown, a value has another type, or something is empty or given twice.</exception>
    public IReadOnlyList<SweepSetting> Read(JsonObject plan)
    {
        foreach (var (key, _) in plan)
            if (!Keys.Contains(key)) throw Unknown(key, Keys, plan: true);
        var common = Flat(plan, Base).Concat(FlatEvaluation(plan)).ToDictionary();
        foreach (var (name, value) in common) Check(name, value);
        var grid = ReadGrid(plan);
        if (grid.Keys.FirstOrDefault(common.ContainsKey) is { } twice)
            throw Fault(twice, $"is in {Grid} and is fixed as well", "leave one of them out");
        var settings = new List<SweepSetting>();
        foreach (var entry in ReadList(plan))
        {
            if (grid.Keys.FirstOrDefault(entry.ContainsKey) is { } both)
                throw Fault(both, $"is in {Grid} and in {List}", "leave one of them out");
            foreach (var point in Points(grid))
                settings.Add(new SweepSetting([.. common.Where(pair => !entry.ContainsKey(pair.Key)), .. entry, .. point]));
        }
        return settings;
    }

    /// <summary>Creates the exception for an option of the plan.</summary>
    public KoalaException Fault(string name, MessageTemplate fault, MessageTemplate fix) => source is null
        ? KoalaException.ForOption(OptionPath(name), fault, fix)
        : new KoalaException($"{source}: {name}", fault, fix);

    /// <summary>Creates or checks options, whose messages name no file, and adds the plan's.</summary>
    public T Within<T>(Func<T> create)
    {
        try
        {
            return create();
        }
        catch (KoalaException e) when (source is not null)
        {
            throw new KoalaException($"{source}: {e.Where}", e.Fault, e.Fix, e);
        }
    }

    // The C# name of an option, which a front end translates: adversary.weight is Adversary.Weight.
    private static string OptionPath(string name) =>
        string.Join('.', name.Split('.').Select(part => string.Concat(part[..1].ToUpperInvariant(), part[1..])));

    private KoalaException Unknown(string key, IEnumerable<string> known, bool plan)
    {
        if (key == Controls)
        {
            return Fault(key, "is no option of a sweep, which trains controls as cells of their own",
                "put 0 into adversary.weight, and losses into a list");
        }
        var suggestion = NearestWord.Find(key, known) is { } near ? $": did you mean {near}?" : "";
        var fix = suggestion.Length > 0 ? "correct it"
            : plan ? $"use one of {string.Join(", ", Keys)}"
            : "see the options of training, heads and evaluation in docs/sweeps.md";
        return Fault(key, $"is no {(plan ? "key of a plan" : "option of a sweep")}{suggestion}", fix);
    }

    private Dictionary<string, JsonNode?> ReadGrid(JsonObject plan)
    {
        if (!plan.ContainsKey(Grid)) return [];
        var grid = Flat(plan, Grid).ToDictionary();
        if (grid.Count == 0) throw Fault(Grid, "is empty", "give it an option with a list of values, or leave it out");
        return grid.ToDictionary(pair => pair.Key, pair => (JsonNode?)Values(pair.Key, pair.Value));
    }

    private List<Dictionary<string, JsonNode?>> ReadList(JsonObject plan)
    {
        if (!plan.TryGetPropertyValue(List, out var node)) return [[]];
        if (node is not JsonArray { Count: > 0 } entries)
            throw Fault(List, "is no list of objects with options, or an empty one", "give it an object, or leave it out");
        var read = new List<Dictionary<string, JsonNode?>>();
        foreach (var (i, entry) in entries.Index())
        {
            if (entry is not JsonObject fields) throw Fault($"{List}[{i}]", "is no object with options", "write it as {\"layers\": 2}");
            var values = Flatten(fields, "").ToDictionary();
            foreach (var (name, value) in values) Check(name, value);
            read.Add(values);
        }
        return read;
    }

    // The values of an option in the grid, ranges written out.
    private JsonArray Values(string name, JsonNode? node)
    {
        var option = Find(name);
        JsonNode?[] given = node is JsonArray list ? [.. list] : [node];
        if (node is not JsonArray && !IsRange(option, node))
            throw Fault(name, $"is {Text(node)}, but {Grid} holds lists of values", "put it into brackets, or into " + Base);
        JsonNode?[] values = [.. given.SelectMany(value => IsRange(option, value) ? Range(name, value!) : [value])];
        if (values.Length == 0) throw Fault(name, "has no value", "give it one, or leave it out");
        foreach (var value in values) Check(name, value);
        if (values.CountBy(Text).FirstOrDefault(pair => pair.Value > 1) is { Value: > 1 } twice)
            throw Fault(name, $"has the value {twice.Key} twice", "give it once");
        return new JsonArray([.. values.Select(value => value?.DeepClone())]);
    }

    private static bool IsRange(SweepOption option, JsonNode? value) =>
        option.IsWhole && value?.GetValueKind() == JsonValueKind.String && RangeText().IsMatch(value.GetValue<string>());

    private IEnumerable<JsonNode?> Range(string name, JsonNode value)
    {
        var ends = RangeText().Match(value.GetValue<string>());
        if (!int.TryParse(ends.Groups[1].Value, NumberStyles.None, CultureInfo.InvariantCulture, out var first)
            || !int.TryParse(ends.Groups[2].Value, NumberStyles.None, CultureInfo.InvariantCulture, out var last)
            || last - (long)first is < 0 or >= MostSettings)
            throw Fault(name, $"has the range {Text(value)}", "write it as \"0-4\", the smaller number first");
        return Enumerable.Range(first, last - first + 1).Select(number => (JsonNode?)JsonValue.Create(number));
    }

    private IEnumerable<KeyValuePair<string, JsonNode?>[]> Points(Dictionary<string, JsonNode?> grid)
    {
        if (grid.Values.Aggregate(1.0, (product, values) => product * ((JsonArray)values!).Count) > MostSettings)
            throw Fault(Grid, $"has more than {MostSettings} points", "give fewer values");
        IEnumerable<KeyValuePair<string, JsonNode?>[]> points = [[]];
        foreach (var (name, values) in grid)
        {
            points = points.SelectMany(
                _ => (JsonArray)values!, (point, value) => (KeyValuePair<string, JsonNode?>[])[.. point, new(name, value)]);
        }
        return points;
    }

    private SweepOption Find(string name) =>
        options.GetValueOrDefault(name) ?? throw Unknown(name, options.Keys, plan: false);

    private void Check(string name, JsonNode? value)
    {
        if (Find(name).FaultOf(value) is { } fault) throw Fault(name, fault, "correct it");
    }

    private IEnumerable<KeyValuePair<string, JsonNode?>> Flat(JsonObject plan, string key)
    {
        if (!plan.TryGetPropertyValue(key, out var node)) return [];
        return node is JsonObject fields
            ? Flatten(fields, "")
            : throw Fault(key, $"is {Text(node)}, but an object with options is expected", "write it as {\"layers\": 2}");
    }

    private IEnumerable<KeyValuePair<string, JsonNode?>> FlatEvaluation(JsonObject plan) =>
        Flat(plan, Evaluate).Select(pair => KeyValuePair.Create(SweepOption.OfEvaluation + pair.Key, pair.Value));

    // An object within options is written with dots as well: {"adversary": {"weight": 0}} is {"adversary.weight": 0}.
    private static IEnumerable<KeyValuePair<string, JsonNode?>> Flatten(JsonObject fields, string prefix) => fields.SelectMany(field =>
        field.Value is JsonObject inner
            ? Flatten(inner, $"{prefix}{field.Key}.")
            : [KeyValuePair.Create<string, JsonNode?>(prefix + field.Key, field.Value)]);

    private static string Text(JsonNode? value) => MessageText.Text(value?.ToJsonString(Runtime.Files.JsonFormat.Line) ?? "null");

    [GeneratedRegex(@"\A(\d+)-(\d+)\z")]
    private static partial Regex RangeText();
}
