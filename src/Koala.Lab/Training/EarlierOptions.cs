using System.Text.Json;
using System.Text.Json.Nodes;
using Koala.Lab.Adversary;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Training;

/// <summary>
/// Brings the options in run.json of earlier versions to the names of today. A run keeps its options as it was begun with
/// them; what they lacked is what was always done then, not today's default.
/// </summary>
internal static class EarlierOptions
{
    /// <param name="options">The options in run.json, which are left as they are.</param>
    /// <returns>The options as this version writes them.</returns>
    public static JsonNode Upgrade(JsonNode options)
    {
        var upgraded = options.DeepClone();
        if (upgraded is not JsonObject plan) return upgraded;
        // There was one control only.
        if (plan["withControl"] is JsonValue value && value.GetValueKind() == JsonValueKind.True)
            plan["withControls"] = new JsonArray(TrainingControls.None);
        if (plan["training"] is JsonObject training && training["adversary"] is JsonObject adversary && !adversary.ContainsKey("judges"))
            foreach (var (name, node) in JsonSerializer.SerializeToNode(AdversaryOptions.Earlier, JsonFormat.Document)!.AsObject())
                if (!adversary.ContainsKey(name)) adversary[name] = node?.DeepClone();
        return upgraded;
    }
}
