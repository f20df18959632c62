using System.Text.Json;
using Koala.Lab.Checkpoints;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>
/// Reads the <c>post_processor</c> of tokenizer.json: the tokens that are put before and after a text.
/// </summary>
internal static class PostProcessorSection
{
    /// <exception cref="KoalaException">Koala does not know a step.</exception>
    public static (IReadOnlyList<int> Before, IReadOnlyList<int> After) Read(JsonSection root)
    {
        var ids = (Before: new List<int>(), After: new List<int>());
        if (root.OptionalSection("post_processor") is { } section) Add(section, ids.Before, ids.After);
        return ids;
    }

    private static void Add(JsonSection step, List<int> before, List<int> after)
    {
        switch (step.Text("type"))
        {
            case "Sequence":
                foreach (var inner in step.Items("processors")) Add(inner, before, after);
                break;
            case "ByteLevel":
                break;   // It moves offsets, which Koala does not have.
            case "TemplateProcessing":
                AddTemplate(step, before, after);
                break;
            case "RobertaProcessing" or "BertProcessing":
                before.Insert(0, Id(step, "cls"));
                after.Add(Id(step, "sep"));
                break;
            case var type:
                throw step.Unsupported("type", type);
        }
    }

    private static void AddTemplate(JsonSection step, List<int> before, List<int> after)
    {
        // Each further step goes around the result of the one before it.
        List<int> front = [], back = [];
        var seen = false;
        foreach (var item in step.Items("single"))
        {
            if (item.OptionalSection("Sequence") is { } sequence)
            {
                if (seen || sequence.Text("id") != "A")
                    throw item.Fault("Sequence", "is not the one text", "get the file again");
                seen = true;
            }
            else (seen ? back : front).AddRange(Ids(step, item.Section("SpecialToken").Text("id")));
        }
        if (!seen) throw step.Fault("single", "leaves the text out", "get the file again");
        before.InsertRange(0, front);
        after.AddRange(back);
    }

    // A token and its id, in a list of two.
    private static int Id(JsonSection step, string key)
    {
        JsonElement[] pair = [.. step.Array(key)];
        return pair.Length == 2 ? CheckedId(step, key, pair[1]) : throw step.Fault(key, "is no token with its id", "get the file again");
    }

    private static IEnumerable<int> Ids(JsonSection step, string name)
    {
        var token = step.Section("special_tokens").Section(name);
        return token.Array("ids").Select(item => CheckedId(token, "ids", item));
    }

    private static int CheckedId(JsonSection section, string key, JsonElement item) =>
        item.ValueKind == JsonValueKind.Number && item.TryGetInt32(out var id) && id is >= 0 and <= VocabularyTable.LargestId
            ? id
            : throw section.Fault(key, "has something that is no token id", "get the file again");
}
