using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Koala.Lab.Checkpoints;
using Koala.Lab.Runs;
using Koala.Lab.Runtime;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Sweeps;

/// <summary>
/// A plan of trainings and evaluations that differ in some options: a grid, a list, or both. docs/sweeps.md has its format.
/// </summary>
public sealed class SweepPlan
{
    private const long LargestFile = 4 << 20;
    private const int LongestName = 120;

    // Comments and trailing commas are for people; a key that occurs twice is a mistake.
    private static readonly JsonDocumentOptions s_reading =
        new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true, AllowDuplicateProperties = false };

    private readonly IReadOnlyList<SweepSetting> _settings;

    private SweepPlan(JsonObject json, PlanReader reader)
    {
        var options = SweepOption.All();
        _settings = reader.Read(json);
        Target = TextOf(json, "target", reader) ?? throw reader.Fault("target", "is missing", "name the folder or the file of the target");
        if (Path.Exists(Target)) Target = Path.GetFullPath(Target);
        Dtype = TextOf(json, "dtype", reader);
        Device = TextOf(json, "device", reader) ?? "cpu";
        Threads = ThreadsOf(json, reader);
        Cells = [.. CreateCells(reader, options)];
        Varying = VaryingOf(_settings.Select(setting => setting.Values), options);
    }

    /// <summary>The folder or file of the target, or the name of a model in the hub's cache.</summary>
    public string Target { get; }

    /// <summary>The target's dtype, fp32 or bf16; null means the device's.</summary>
    public string? Dtype { get; }

    /// <summary>The device, cpu or cuda.</summary>
    public string Device { get; }

    /// <summary>The number of threads of a CPU operation; null means that Koala chooses when the sweep begins.</summary>
    public int? Threads { get; }

    /// <summary>The cells in their order.</summary>
    public IReadOnlyList<SweepCell> Cells { get; }

    /// <summary>The names of the options that differ among the settings, in the order of the plan.</summary>
    public IReadOnlyList<string> Varying { get; }

    /// <summary>The plan in its canonical form, which is a plan without a grid. Plans that mean the same have the same form.</summary>
    internal JsonObject Canonical => new()
    {
        ["target"] = Target,
        ["dtype"] = Dtype,
        ["device"] = Device,
        ["threads"] = Threads,
        ["list"] = new JsonArray([.. _settings.Select(setting =>
            (JsonNode)new JsonObject(setting.Values.Select(pair => KeyValuePair.Create(pair.Key, pair.Value?.DeepClone()))))]),
    };

    /// <summary>The SHA-256 of the canonical form, in lower-case hexadecimal digits.</summary>
    public string Hash => CanonicalJson.Hash(Canonical);

    /// <summary>
    /// The names of all options that a plan can set: those of training and heads, and after <c>evaluate.</c> those of an evaluation.
    /// </summary>
    public static IReadOnlyList<string> OptionNames => [.. SweepOption.All().Keys];

    /// <summary>Reads the file of a plan: JSON, in which comments and trailing commas are allowed.</summary>
    /// <exception cref="KoalaException">
    /// The file cannot be read, a key is unknown, a value has another type or is out of range, or there is nothing to train.
    /// </exception>
    public static SweepPlan Load(string file)
    {
        var text = InputFile.ReadText(file, LargestFile);
        try
        {
            var json = JsonNode.Parse(text, documentOptions: s_reading) as JsonObject ?? throw new JsonException("it is no object");
            return new SweepPlan(json, new PlanReader(file, SweepOption.All()));
        }
        catch (Exception e) when (e is JsonException or ArgumentException or InvalidOperationException)
        {
            // The last is thrown for half a surrogate pair.
            throw new KoalaException(file, $"is not the plan of a sweep ({MessageText.Sentence(e.Message)})", "correct it", e);
        }
    }

    /// <summary>Creates a plan from the fields that a file would have.</summary>
    /// <exception cref="KoalaException">What <see cref="Load"/> would refuse; messages name options.</exception>
    public static SweepPlan Create(JsonObject plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        return new SweepPlan(plan, new PlanReader(null, SweepOption.All()));
    }

    /// <summary>
    /// Checks that the target, the files and the device are there, so that a mistake in a name leaves no folder behind.
    /// </summary>
    /// <exception cref="KoalaException">One of them is not.</exception>
    internal void CheckFiles()
    {
        ModelLocation.Find(Target);
        Devices.Parse(Device);
        var evaluated = Cells.SelectMany(cell => cell.Evaluations).Select(evaluation => evaluation.Prompts);
        var trained = Cells.SelectMany(cell => (string?[])[cell.Request.Data, cell.Request.Validation]).OfType<string>();
        foreach (var file in trained.Concat(evaluated).Distinct()) InputFile.Open(file).Dispose();
    }

    /// <summary>Says in which option two plans differ; null if they mean the same.</summary>
    internal string? DifferenceFrom(SweepPlan other)
    {
        if (Hash == other.Hash) return null;
        (string Name, string? Own, string? Other)[] fields =
        [
            ("target", Target, other.Target), ("dtype", Dtype, other.Dtype), ("device", Device, other.Device),
            ("threads", Number(Threads), Number(other.Threads)),
        ];
        foreach (var (name, own, others) in fields)
            if (own != others) return $"{name} is {own ?? "not set"} here and {others ?? "not set"} there";
        foreach (var name in _settings.Concat(other._settings).SelectMany(setting => setting.Values.Keys).Distinct())
        {
            var (own, others) = (ValuesOf(name), other.ValuesOf(name));
            if (!own.ToHashSet().SetEquals(others)) return $"{name} is {string.Join(", ", own)} here and {string.Join(", ", others)} there";
        }
        return "the same values are in another order or combined in another way";
    }

    private static string? Number(int? value) => value?.ToString(CultureInfo.InvariantCulture);

    // All values of an option in the order of the plan.
    private string[] ValuesOf(string name) => [.. _settings
        .Select(setting => setting.Values.TryGetValue(name, out var value) ? value?.ToJsonString(JsonFormat.Line) ?? "null" : "not set")
        .Distinct()];

    private static string? TextOf(JsonObject json, string key, PlanReader reader)
    {
        if (!json.TryGetPropertyValue(key, out var node) || node is null) return null;
        return node.GetValueKind() == JsonValueKind.String && node.GetValue<string>() is { Length: > 0 } text
            ? text
            : throw reader.Fault(key, $"is {MessageText.Text(node.ToJsonString())}, but a text is expected", "correct it");
    }

    private static int? ThreadsOf(JsonObject json, PlanReader reader)
    {
        if (!json.TryGetPropertyValue("threads", out var node) || node is null) return null;
        return node.GetValueKind() == JsonValueKind.Number && node.AsValue().TryGetValue(out int threads) && threads is >= 1 and <= 1024
            ? threads
            : throw reader.Fault("threads", $"is {MessageText.Text(node.ToJsonString())}, but an operation has 1 to 1024 threads",
                "set it to the number of cores");
    }

    private IEnumerable<SweepCell> CreateCells(PlanReader reader, IReadOnlyDictionary<string, SweepOption> options)
    {
        var trainings = _settings.GroupBy(setting => CanonicalJson.Hash(setting.Part(ofEvaluation: false))).ToArray();
        var varying = VaryingOf(trainings.Select(training => training.First().Part(ofEvaluation: false)), options);
        var ofEvaluation = VaryingOf(_settings.Select(setting => setting.Part(ofEvaluation: true)), options);
        var names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach (var training in trainings)
        {
            var first = training.First();
            var request = first.Request(reader, options);
            var name = NameOf(varying, first, $"{request.Head.Kind}-k{request.Head.Layers}", names);
            var evaluationNames = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
            yield return new SweepCell(name, first.Part(ofEvaluation: false).ToDictionary(), request,
                [.. training.Select(setting => CreateEvaluation(setting, evaluationNames)).OfType<SweepEvaluation>()]);
        }

        SweepEvaluation? CreateEvaluation(SweepSetting setting, HashSet<string> taken)
        {
            if (setting.Evaluation(reader, options) is not { } evaluation) return null;
            // Reports have the name of their prompts, as those of a run have.
            var prompts = Path.GetFileName(evaluation.Prompts).Split('.')[0];
            var values = NameOf([.. ofEvaluation.Where(name => name != "evaluate.prompts")], setting, "", []);
            var name = Distinct(values.Length == 0 ? prompts : $"{prompts}_{values}", taken);
            return new SweepEvaluation(name, setting.Part(ofEvaluation: true).ToDictionary(), evaluation.Prompts, evaluation.Limit,
                evaluation.Categories, evaluation.Options);
        }
    }

    // The options that do not have the same value everywhere, in the order of all options, the seed last.
    private static string[] VaryingOf(
        IEnumerable<IEnumerable<KeyValuePair<string, JsonNode?>>> settings, IReadOnlyDictionary<string, SweepOption> options)
    {
        Dictionary<string, string>[] all = [.. settings.Select(values =>
            values.ToDictionary(pair => pair.Key, pair => pair.Value?.ToJsonString(JsonFormat.Line) ?? "null"))];
        return [.. options.Keys
            .OrderBy(name => name == SweepOption.Seed)
            .Where(name => all.Select(values => values.GetValueOrDefault(name)).Distinct().Skip(1).Any())];
    }

    private static string NameOf(string[] varying, SweepSetting setting, string otherwise, HashSet<string> taken)
    {
        var parts = varying
            .Where(setting.Values.ContainsKey)
            .Select(name => $"{ShortName(name)}-{SweepSetting.Text(setting.Values[name])}");
        var name = SweepSetting.FolderName(string.Join('_', parts));
        return Distinct(name.Length == 0 ? otherwise : name, taken);
    }

    private static string ShortName(string option) => option.Replace(SweepOption.OfEvaluation, "", StringComparison.Ordinal);

    // Names of long lists, and of files that differ only in their folders, are numbered.
    private static string Distinct(string name, HashSet<string> taken)
    {
        var start = name.Length > LongestName ? name[..LongestName] : name;
        var distinct = start;
        for (var number = 2; !taken.Add(distinct); number++) distinct = $"{start}_{number}";
        return distinct;
    }

    /// <summary>The number of cells and the options that vary, with their values, one per line.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        var evaluations = Cells.Sum(cell => cell.Evaluations.Count);
        text.Append(CultureInfo.InvariantCulture, $"{Cells.Count} cells, {evaluations} evaluations");
        foreach (var name in Varying) text.Append(CultureInfo.InvariantCulture, $"\n{name}: {string.Join(", ", ValuesOf(name))}");
        return text.ToString();
    }
}
