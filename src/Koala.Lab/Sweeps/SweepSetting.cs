using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Koala.Lab.Decoding;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Evaluation;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Training;

namespace Koala.Lab.Sweeps;

/// <summary>The options that one point of a sweep sets, in the order of the plan; all others have their defaults.</summary>
internal sealed class SweepSetting
{
    private const string Dynamic = "dynamic";
    private const string Chain = "chain";

    // The texts of a request that name files. A run keeps full paths, and so does a sweep.
    private static readonly string[] s_files = ["data", "validation", "evaluate.prompts"];

    private readonly Dictionary<string, JsonNode?> _values;

    public SweepSetting(IEnumerable<KeyValuePair<string, JsonNode?>> values) => _values = values.ToDictionary(
        pair => pair.Key,
        pair => s_files.Contains(pair.Key) && pair.Value is { } file ? Path.GetFullPath(file.GetValue<string>()) : pair.Value?.DeepClone());

    /// <summary>The values by the names of their options.</summary>
    public IReadOnlyDictionary<string, JsonNode?> Values => _values;

    /// <summary>The values of the training, without those of its evaluations, or the other way round.</summary>
    public JsonObject Part(bool ofEvaluation) => new(_values
        .Where(pair => pair.Key.StartsWith(SweepOption.OfEvaluation, StringComparison.Ordinal) == ofEvaluation)
        .Select(pair => KeyValuePair.Create(pair.Key, pair.Value?.DeepClone())));

    /// <summary>The request of the training.</summary>
    /// <param name="reader">Names options in messages.</param>
    /// <param name="options">The options that a sweep can set.</param>
    /// <exception cref="KoalaException">An option is missing, out of range, or belongs to another kind of head.</exception>
    public TrainingRequest Request(PlanReader reader, IReadOnlyDictionary<string, SweepOption> options)
    {
        var kind = Text("head") ?? MedusaOptions.KindName;
        var registration = HeadRegistry.Find(kind)
            ?? throw reader.Fault("head",
                $"is '{MessageText.Text(kind)}', but the kinds of head are {string.Join(", ", HeadRegistry.Names)}", "use one of them");
        var head = (HeadOptions)Apply(Activator.CreateInstance(registration.OptionsType)!, SweepPart.Head, options, name =>
            reader.Fault(name, $"does not apply to a head of the kind {kind}", "leave it out, or set head to the kind that has it"));
        var steps = _values.GetValueOrDefault("steps")?.GetValue<int>();
        var preset = reader.Within(() => TrainingPresets.Create(Text("preset") ?? TrainingPresets.Default, head, steps));
        var request = new TrainingRequest
        {
            Data = Text("data") ?? throw reader.Fault("data", "is missing", "name the file of chats to train on"),
            Validation = Text("validation"),
            Head = head,
            Training = (TrainingOptions)Apply(preset, SweepPart.Training, options),
        };
        return reader.Within(() =>
        {
            request.Validate();
            return request;
        });
    }

    /// <summary>The evaluation; null if the sweep has none.</summary>
    /// <exception cref="KoalaException">An option is missing or out of range, or a tree does not exist.</exception>
    public (string Prompts, int? Limit, IReadOnlyList<string> Categories, EvaluationOptions Options)? Evaluation(
        PlanReader reader, IReadOnlyDictionary<string, SweepOption> options)
    {
        if (Text("evaluate.prompts") is not { } prompts)
        {
            return _values.Keys.FirstOrDefault(name => name.StartsWith(SweepOption.OfEvaluation, StringComparison.Ordinal)) is { } given
                ? throw reader.Fault(given, "belongs to an evaluation, but evaluate.prompts is missing", "name a file of prompts")
                : null;
        }
        var evaluation = (EvaluationOptions)Apply(new EvaluationOptions(), SweepPart.Evaluation, options);
        var generation = (GenerationOptions)Apply(evaluation.Generation, SweepPart.Generation, options);
        // With "chain" only the length of a chain may be chosen.
        generation = generation with
        {
            Tree = Tree(reader, options),
            ChooseTrees = generation.ChooseTrees && Text("evaluate.tree") is null,
        };
        if (generation is { DraftLength: null, Tree: null } && !_values.ContainsKey("evaluate.chooseDraftLength"))
        {
            throw reader.Fault("evaluate.draftLength",
                "is missing, and a length that is chosen for each cell anew would differ between cells",
                "set it to 4, or set evaluate.chooseDraftLength to true");
        }
        var result = evaluation with { Generation = generation };
        var categories = _values.GetValueOrDefault("evaluate.categories")?.Deserialize<string[]>(JsonFormat.Document);
        return reader.Within(() =>
        {
            result.Validate();
            return (prompts, _values.GetValueOrDefault("evaluate.limit")?.GetValue<int>(), categories ?? [], result);
        });
    }

    /// <summary>A value in a few characters, as names of cells and tables have it.</summary>
    public static string Text(JsonNode? value) => value switch
    {
        null => "default",
        JsonArray items => string.Join('+', items.Select(Text)),
        JsonObject fields => string.Join('-', fields.Select(field => Text(field.Value))),
        JsonValue text when text.GetValueKind() == JsonValueKind.String => FileName(text.GetValue<string>()),
        _ => value.ToJsonString(JsonFormat.Line),
    };

    /// <summary>The text with all characters replaced that a folder's name should not have.</summary>
    public static string FolderName(string text)
    {
        var name = new StringBuilder();
        foreach (var c in text) name.Append(char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_' or '+' ? c : '-');
        return name.ToString().TrimStart('.');
    }

    // A path is long; what tells files apart is mostly their name.
    private static string FileName(string text) => text.Contains('/') ? Path.GetFileName(text).Split('.')[0] : text;

    private string? Text(string name) => _values.GetValueOrDefault(name)?.GetValue<string>();

    private DraftTree? Tree(PlanReader reader, IReadOnlyDictionary<string, SweepOption> options)
    {
        var name = Text("evaluate.tree") ?? Chain;
        var shape = _values.Keys.FirstOrDefault(key => key.StartsWith("evaluate.tree.", StringComparison.Ordinal));
        if (name != Dynamic && shape is not null)
        {
            throw reader.Fault(shape, $"shapes a dynamic tree, but evaluate.tree is {name}",
                "set evaluate.tree to dynamic, or leave it out");
        }
        return name switch
        {
            Chain => null,
            Dynamic => (DynamicTree)Apply(new DynamicTree(), SweepPart.Tree, options),
            _ => reader.Within(() => StaticTree.Find(name)),
        };
    }

    // The options with the values of this setting that belong to them.
    private object Apply(object defaults, SweepPart part, IReadOnlyDictionary<string, SweepOption> options,
        Func<string, KoalaException>? notThere = null)
    {
        var json = (JsonObject)JsonSerializer.SerializeToNode(defaults, defaults.GetType(), JsonFormat.Document)!;
        // What has its default is not always written, so the type says which options there are.
        var names = JsonFormat.Document.GetTypeInfo(defaults.GetType()).Properties.Select(property => property.Name).ToHashSet();
        foreach (var (name, value) in _values)
        {
            if (options[name] is not { } option || option.Part != part || option.Name == "evaluate.tree") continue;
            var place = option.Path[..^1].Aggregate(json, (fields, key) => (JsonObject)fields[key]!);
            if (notThere is not null && !names.Contains(option.Path[0])) throw notThere(name);
            place[option.Path[^1]] = value?.DeepClone();
        }
        return json.Deserialize(defaults.GetType(), JsonFormat.Document)!;
    }
}
