using System.Text.Json;
using Koala.Lab.Checkpoints;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>The parts of tokenizer.json that hold tokens: the model and the added tokens.</summary>
internal static class ModelSection
{
    /// <summary>Reads the model.</summary>
    /// <param name="model">The section.</param>
    /// <param name="file">The file, for error messages.</param>
    /// <param name="isByteLevel">Whether the pre-tokenizer turns text into bytes.</param>
    /// <returns>The ids by token, and what makes the encoder once these ids have been checked.</returns>
    /// <exception cref="KoalaException">The section is damaged, or Koala does not know the model.</exception>
    public static (IReadOnlyDictionary<string, int> Vocabulary, Func<IPieceEncoder> Encoder) Read(
        JsonSection model, string file, bool isByteLevel)
    {
        // Old files name no type; they can only hold BPE.
        return model.OptionalText("type") switch
        {
            null or "BPE" => ReadBpe(model, file, isByteLevel),
            "Unigram" when !isByteLevel => ReadUnigram(model),
            { } type => throw model.Unsupported("type", type),
        };
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

    private static (IReadOnlyDictionary<string, int>, Func<IPieceEncoder>) ReadBpe(JsonSection model, string file, bool isByteLevel)
    {
        foreach (var key in (ReadOnlySpan<string>)["continuing_subword_prefix", "end_of_word_suffix"])
            if (model.OptionalText(key) is { Length: > 0 } text) throw model.Unsupported(key, text);
        var isDropoutSet = model.Find("dropout") is { } dropout
            && !(dropout.ValueKind == JsonValueKind.Number && dropout.GetDouble() == 0);
        if (isDropoutSet)
            throw model.Fault("dropout", "is set, but only 0 gives the same tokens every time", "set it to null");
        var (vocabulary, merges) = (Vocabulary(model), Merges(model));
        int? unknownId = model.OptionalText("unk_token") is not { } unknown ? null
            : vocabulary.TryGetValue(unknown, out var id) ? id
            : throw model.Fault("unk_token", $"is '{MessageText.Text(unknown)}', which is not in the vocabulary", "get the file again");
        var bytes = model.Boolean("byte_fallback", false) ? UnknownText.BytesOf(vocabulary) : [];
        var rest = new UnknownText(unknownId, model.Boolean("fuse_unk", false), bytes);
        var ignoresMerges = model.Boolean("ignore_merges", false);
        return (vocabulary, () =>
            new BytePairEncoder(vocabulary, PairMerges.FromList(vocabulary, merges, file), rest, isByteLevel, ignoresMerges));
    }

    private static (IReadOnlyDictionary<string, int>, Func<IPieceEncoder>) ReadUnigram(JsonSection model)
    {
        var tokens = new Dictionary<string, (int Id, double Score)>();
        foreach (var item in model.Array("vocab"))
        {
            var isPair = item.ValueKind == JsonValueKind.Array && item.GetArrayLength() == 2
                && item[0].ValueKind == JsonValueKind.String && item[1].ValueKind == JsonValueKind.Number
                && double.IsFinite(item[1].GetDouble());
            if (!isPair || !tokens.TryAdd(item[0].GetString()!, (tokens.Count, item[1].GetDouble())))
                throw model.Fault($"vocab[{tokens.Count}]",
                    $"is {MessageText.Text(item.GetRawText())}, but a new token and its score are expected", "get the file again");
        }
        var vocabulary = tokens.ToDictionary(token => token.Key, token => token.Value.Id);
        var unknownId = model.OptionalNumber("unk_id");
        if (unknownId is { } id && (id < 0 || id >= tokens.Count))
            throw model.Fault("unk_id", $"is {id}, but the vocabulary has the ids 0 to {tokens.Count - 1}", "get the file again");
        var bytes = model.Boolean("byte_fallback", false) ? UnknownText.BytesOf(vocabulary) : [];
        // No text becomes a token without characters.
        tokens.Remove("");
        return (vocabulary, () => new UnigramEncoder(tokens, new UnknownText(unknownId, FuseUnknown: true, bytes)));
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
