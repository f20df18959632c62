using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Koala.Cli.Commands;
using Koala.Lab.Sweeps;
using Koala.Lab.Training;

namespace Koala.Cli.Options;

/// <summary>
/// The plan of a sweep as options: every option of training, heads and evaluation with a list of values, <c>--layers 1,2,3</c>. The names
/// follow from those in a plan's file, and the descriptions are those of <c>koala train</c> and <c>koala evaluate</c>.
/// </summary>
internal sealed class SweepOptions
{
    private const string Losses = "losses";

    // Options whose value is itself a list.
    private static readonly string[] s_lists = ["evaluate.categories", "evaluate.stop"];
    private static readonly string[] s_numberLists = ["fusedLayers"];

    // Options whose value has fields, which only a plan's file can hold.
    private static readonly string[] s_inPlansOnly = ["decoder"];

    // What koala train and koala evaluate do not describe under this name.
    private static readonly Dictionary<string, string> s_descriptions = new()
    {
        ["evaluate.prompts"] = "Evaluate each trained head on this file of prompts. Default: no evaluation.",
        ["evaluate.draftLength"] = "Tokens drafted per round when the draft is a chain; an evaluation needs it, or a tree.",
        ["evaluate.allTurns"] = "Ask all turns of each prompt, each after the answers to the turns before it.",
        ["evaluate.chooseDraftLength"] = "Choose the draft length or a tree for this device by a short measurement, for each cell anew.",
        ["evaluate.chooseTrees"] = "Whether a tree may be chosen as well as a draft length.",
        ["evaluate.categories"] = "Use the prompts of these categories, joined by +. Default: all.",
        ["evaluate.stop"] = "Texts that end an answer, joined by +.",
        ["fusedLayers"] = "EAGLE: the target's layers whose outputs are fused, counted from 0, joined by +. Default: three layers.",
        ["normBeforeFc"] = "EAGLE-3: norm the joined states before they are fused.",
        ["normBeforeResidual"] = "EAGLE-3: begin the residual stream of the first layer with the normed feature.",
        ["ownLmHead"] = "EAGLE-3: give the head an LM head of its own, which starts as the target's.",
        [Losses] = "The losses, joined by +, each with its weight and, after @, its decay by depth: kl=0.5@0.8+smooth-l1.",
    };

    private readonly Command _train;
    private readonly Command _evaluate;
    private readonly Dictionary<string, Option<string?>> _byName;

    public SweepOptions(Streams streams)
    {
        (_train, _evaluate) = (TrainCommand.Create(streams), EvaluateCommand.Create(streams));
        _byName = SweepPlan.OptionNames.Except(s_inPlansOnly).ToDictionary(name => name, Create);
    }

    public IEnumerable<Option> All => _byName.Values;

    /// <summary>The fields of a plan that the given options make. The grid has them in the order in which they are given.</summary>
    public JsonObject Read(ParseResult result)
    {
        var (common, grid) = (new JsonObject(), new JsonObject());
        var names = _byName.ToDictionary(pair => (Option)pair.Value, pair => pair.Key);
        foreach (var given in result.CommandResult.Children.OfType<OptionResult>().Where(given => !given.Implicit))
        {
            if (!names.TryGetValue(given.Option, out var name)) continue;
            JsonNode?[] values = [.. given.GetValueOrDefault<string>()!.Split(',').Select(text => Value(name, text))];
            // One text can be a range of numbers, which the plan writes out; otherwise one value is fixed.
            if (values is [var single] && !IsRange(single)) common[name] = single;
            else grid[name] = new JsonArray(values);
        }
        var plan = new JsonObject { ["base"] = common };
        if (grid.Count > 0) plan["grid"] = grid;
        return plan;
    }

    private Option<string?> Create(string name)
    {
        var typed = OptionNames.OfSweep(name);
        var option = SharedOptions.Text(typed, "LIST", DescriptionOf(name));
        if (name == "seed") option.Aliases.Add("--seeds");
        return option;
    }

    private string DescriptionOf(string name)
    {
        if (s_descriptions.TryGetValue(name, out var own)) return own;
        var ofEvaluation = name.StartsWith("evaluate.", StringComparison.Ordinal);
        var command = ofEvaluation ? _evaluate : _train;
        var path = ofEvaluation ? name["evaluate.".Length..] : name;
        var parts = path.Split('.').Select(part => string.Concat(part[..1].ToUpperInvariant(), part[1..]));
        var found = OptionNames.Find(string.Join('.', parts), command);
        return command.Options.FirstOrDefault(option => option.Name == found)?.Description ?? "";
    }

    private static bool IsRange(JsonNode? value) =>
        value is JsonValue text && text.GetValueKind() == JsonValueKind.String && text.GetValue<string>() is var range
        && range.Split('-') is [{ Length: > 0 } first, { Length: > 0 } last] && first.All(char.IsAsciiDigit) && last.All(char.IsAsciiDigit);

    private static JsonNode? Value(string name, string text)
    {
        if (name == Losses) return new JsonArray([.. text.Split('+').Select(loss => (JsonNode)Loss(TrainOptions.ReadLoss(loss)))]);
        // A text that looks like a number is still a text.
        if (s_lists.Contains(name)) return new JsonArray([.. text.Split('+').Select(part => (JsonNode)part)]);
        if (s_numberLists.Contains(name)) return new JsonArray([.. text.Split('+').Select(Scalar)]);
        return Scalar(text);
    }

    private static JsonNode? Scalar(string text)
    {
        if (text is "true" or "false") return JsonValue.Create(text == "true");
        if (int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole)) return JsonValue.Create(whole);
        return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number)
            ? JsonValue.Create(number)
            : JsonValue.Create(text);
    }

    private static JsonObject Loss(LossTerm term) =>
        new JsonObject { ["name"] = term.Name, ["weight"] = term.Weight, ["decay"] = term.Decay };
}
