using System.Text.Json;
using Koala.Lab.Checkpoints;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>The parts of tokenizer.json that hold tokens: the model and the added tokens.</summary>
internal static class ModelSection
{
    private const string Fix = "use a model with a byte-level BPE tokenizer";

    /// <summary>Reads the vocabulary, the merges and whether the merges can be ignored.</summary>
    public static (Dictionary<string, int> Vocabulary, List<(string, string)> Merges, bool IgnoreMerges) Read(JsonSection model)
    {
        // Old files name no type; they can only hold BPE.
        if (model.OptionalText("type") is { } type && type != "BPE") throw model.Unsupported("type", type);
        foreach (var key in (ReadOnlySpan<string>)["continuing_subword_prefix", "end_of_word_suffix"])
            if (model.OptionalText(key) is { Length: > 0 } text) throw model.Unsupported(key, text);
        if (model.Boolean("byte_fallback", false))
            throw model.Fault("byte_fallback", "is true, which byte-level BPE does not have", Fix);
        var isDropoutSet = model.Find("dropout") is { } dropout
            && !(dropout.ValueKind == JsonValueKind.Number && dropout.GetDouble() == 0);
        if (isDropoutSet)
            throw model.Fault("dropout", "is set, but only 0 gives the same tokens every time", "set it to null");
        return (Vocabulary(model), Merges(model), model.Boolean("ignore_merges", false));
    }

    /// <summary>The added tokens of the file.</summary>
    public static List<AddedToken> AddedTokens(JsonSection root) =>
        [.. root.Items("added_tokens").Select(token => AddedToken(token, token.Number("id")))];

    /// <summary>An added token as tokenizer files write it.</summary>
    public static AddedToken AddedToken(JsonSection token, int id)
    {
        var special = token.Boolean("special", false);
        return new AddedToken(
            id,
            token.Text("content"),
            special,
            token.Boolean("lstrip", false),
            token.Boolean("rstrip", false),
            token.Boolean("single_word", false),
            token.Boolean("normalized", !special));
    }

    private static Dictionary<string, int> Vocabulary(JsonSection model)
    {
        var vocab = model.Section("vocab");
        var ids = new Dictionary<string, int>();
        foreach (var property in vocab.Json.EnumerateObject())
        {
            if (property.Value.ValueKind != JsonValueKind.Number || !property.Value.TryGetInt32(out var id))
                throw vocab.Fault(
                    MessageText.Text(property.Name),
                    $"is {MessageText.Text(property.Value.GetRawText())}, but a token id is expected",
                    "get the file again");
            ids.Add(property.Name, id);
        }
        return ids;
    }

    private static List<(string, string)> Merges(JsonSection model)
    {
        var merges = new List<(string, string)>();
        foreach (var item in model.Array("merges"))
        {
            var pair = Pair(item);
            if (pair.Length != 2 || pair.Any(token => token.Length == 0 || token.Contains(' ')))
                throw model.Fault(
                    $"merges[{merges.Count}]",
                    $"is {MessageText.Text(item.GetRawText())}, but two tokens are expected",
                    "get the file again");
            merges.Add((pair[0], pair[1]));
        }
        return merges;
    }

    // A merge is a text with a space between its tokens, or a list of them; empty where it is neither.
    private static string[] Pair(JsonElement merge)
    {
        if (merge.ValueKind == JsonValueKind.String) return merge.GetString()!.Split(' ');
        if (merge.ValueKind != JsonValueKind.Array) return [];
        JsonElement[] tokens = [.. merge.EnumerateArray()];
        var areTexts = tokens.All(token => token.ValueKind == JsonValueKind.String);
        return areTexts ? [.. tokens.Select(token => token.GetString()!)] : [];
    }
}
