using System.Text.Json;
using System.Text.Json.Nodes;
using Koala.Lab.Adversary;
using Koala.Lab.Decoding;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Evaluation;
using Koala.Lab.Heads;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Training;

namespace Koala.Lab.Sweeps;

/// <summary>
/// An option that a sweep can vary: the JSON name of a property of the options of training, heads, evaluation and decoding.
/// </summary>
/// <param name="Name">
/// The name in a plan: <c>layers</c>, <c>adversary.weight</c>. What only evaluations use begins with <c>evaluate.</c>
/// </param>
/// <param name="Type">The type of a value.</param>
/// <param name="Part">The options that hold it.</param>
/// <param name="TakesNull">Whether null is a value, which means the default.</param>
internal sealed record SweepOption(string Name, Type Type, SweepPart Part, bool TakesNull = false)
{
    /// <summary>What the names of the options of an evaluation begin with.</summary>
    public const string OfEvaluation = "evaluate.";

    /// <summary>The option that says which numbers are random; a summary takes means over it.</summary>
    public const string Seed = "seed";

    // Options that no sweep sets: limits of a machine, what a trace records, and what a sweep decides itself.
    private static readonly string[] s_notThere =
        [nameof(EvaluationOptions.Limits), nameof(EvaluationOptions.Generation), nameof(GenerationOptions.Tree),
            nameof(GenerationOptions.Stream), nameof(GenerationOptions.FullTrace), nameof(TrainingOptions.Adversary)];

    /// <summary>Whether the option changes only how a trained head is evaluated.</summary>
    public bool IsOfEvaluation => Name.StartsWith(OfEvaluation, StringComparison.Ordinal);

    /// <summary>The path of the property in the JSON of the options that hold it.</summary>
    public string[] Path => (Part == SweepPart.Tree ? Name[(OfEvaluation.Length + "tree.".Length)..]
        : IsOfEvaluation ? Name[OfEvaluation.Length..] : Name).Split('.');

    /// <summary>All options: the registered kinds of head decide which sizes of heads there are.</summary>
    public static IReadOnlyDictionary<string, SweepOption> All()
    {
        SweepOption[] all =
        [
            new("head", typeof(string), SweepPart.Request),
            .. HeadRegistry.OptionTypes.SelectMany(type => Of(type, SweepPart.Head)),
            new("data", typeof(string), SweepPart.Request),
            new("validation", typeof(string), SweepPart.Request, TakesNull: true),
            new("preset", typeof(string), SweepPart.Request),
            .. Of(typeof(TrainingOptions), SweepPart.Training),
            .. Of(typeof(AdversaryOptions), SweepPart.Training, "adversary."),
            new("evaluate.prompts", typeof(string), SweepPart.Prompts),
            new("evaluate.limit", typeof(int?), SweepPart.Prompts, TakesNull: true),
            new("evaluate.categories", typeof(string[]), SweepPart.Prompts),
            .. Of(typeof(EvaluationOptions), SweepPart.Evaluation, OfEvaluation),
            .. Of(typeof(GenerationOptions), SweepPart.Generation, OfEvaluation),
            new("evaluate.tree", typeof(string), SweepPart.Tree),
            .. Of(typeof(DynamicTree), SweepPart.Tree, $"{OfEvaluation}tree."),
        ];
        // Kinds of head share some sizes.
        return all.DistinctBy(option => option.Name).ToDictionary(option => option.Name);
    }

    /// <summary>Checks that a value has the type of the option.</summary>
    /// <returns>What is wrong with it; null if nothing is.</returns>
    public string? FaultOf(JsonNode? value)
    {
        if (value is null) return TakesNull ? null : $"is null, but {Expected} is expected";
        try
        {
            value.Deserialize(Type, JsonFormat.Document);
            return null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            return $"is {MessageText.Text(value.ToJsonString(JsonFormat.Line))}, but {Expected} is expected";
        }
    }

    /// <summary>Whether values are whole numbers, which a plan can give as a range.</summary>
    public bool IsWhole => (Nullable.GetUnderlyingType(Type) ?? Type) == typeof(int);

    private string Expected
    {
        get
        {
            var type = Nullable.GetUnderlyingType(Type) ?? Type;
            if (type == typeof(int)) return "a whole number";
            if (type == typeof(double)) return "a number";
            if (type == typeof(bool)) return "true or false";
            if (type == typeof(string)) return "a text";
            if (type.IsEnum) return string.Join(" or ", Enum.GetNames(type).Select(JsonNamingPolicy.CamelCase.ConvertName));
            return type == typeof(string[]) || type == typeof(IReadOnlyList<string>)
                ? "a list of texts"
                : """a list such as [{"name": "kl", "weight": 0.5, "decay": 0.8}]""";
        }
    }

    private static IEnumerable<SweepOption> Of(Type type, SweepPart part, string prefix = "") =>
        from property in JsonFormat.Document.GetTypeInfo(type).Properties
        where property is { Get: not null, Set: not null }
        where !s_notThere.Contains(property.Name, StringComparer.OrdinalIgnoreCase)
        select new SweepOption(prefix + property.Name, property.PropertyType, part,
            TakesNull: Nullable.GetUnderlyingType(property.PropertyType) is not null);
}

/// <summary>The options that hold an option of a sweep.</summary>
internal enum SweepPart
{
    /// <summary>The kind of head, the preset and the files of a training.</summary>
    Request,

    /// <summary>The sizes of the head.</summary>
    Head,

    /// <summary>How the head is trained.</summary>
    Training,

    /// <summary>The prompts of an evaluation.</summary>
    Prompts,

    /// <summary>How an evaluation measures.</summary>
    Evaluation,

    /// <summary>How answers are generated.</summary>
    Generation,

    /// <summary>The draft tree.</summary>
    Tree,
}
