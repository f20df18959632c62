using System.Globalization;
using System.Text.Json;
using Koala.Lab.Checkpoints;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>
/// The added tokens of a Hugging Face folder: those of tokenizer.json, and those that only tokenizer_config.json,
/// added_tokens.json or special_tokens_map.json have.
/// </summary>
/// <remarks>
/// The rules are those of the fast tokenizers of transformers: a token keeps the id that it has in the vocabulary, a new
/// one gets the next free id, and <c>added_tokens_decoder</c> decides how a token is looked for. A file that gives a
/// token another id is refused.
/// </remarks>
internal sealed class FolderTokens
{
    // The names that transformers uses; a chat template can refer to these tokens.
    private static readonly string[] s_roles =
        ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

    private readonly IReadOnlyDictionary<string, int> _vocabulary;
    private readonly List<AddedToken> _tokens;
    private readonly Dictionary<string, int> _indices = [];   // by content, into _tokens

    private FolderTokens(IReadOnlyDictionary<string, int> vocabulary, List<AddedToken> tokens)
    {
        (_vocabulary, _tokens) = (vocabulary, tokens);
        // Of a token that occurs twice the table of tokens says so.
        for (var i = 0; i < tokens.Count; i++) _indices.TryAdd(tokens[i].Content, i);
    }

    /// <param name="vocabulary">The vocabulary of tokenizer.json.</param>
    /// <param name="tokens">The added tokens of tokenizer.json.</param>
    /// <param name="config">tokenizer_config.json, if there is one.</param>
    /// <param name="added">added_tokens.json, if there is one.</param>
    /// <param name="map">special_tokens_map.json, if there is one.</param>
    /// <exception cref="KoalaException">A file gives a token another id, or is damaged.</exception>
    public static IReadOnlyList<AddedToken> Read(
        IReadOnlyDictionary<string, int> vocabulary, List<AddedToken> tokens, JsonSection? config, JsonSection? added, JsonSection? map)
    {
        var folder = new FolderTokens(vocabulary, [.. tokens]);
        if (config?.OptionalSection("added_tokens_decoder") is { } decoder) folder.AddDecoder(decoder);
        AddedToken[] special = [.. Special(config), .. Special(map)];
        if (added is not null) folder.AddIds(added, [.. special.Select(token => token.Content)]);
        foreach (var token in special.Where(token => !folder._indices.ContainsKey(token.Content)))
            folder.Add(token with { Id = folder.IdOf(token.Content) });
        return folder._tokens;
    }

    /// <summary>The tokens that a chat template can refer to, by their names.</summary>
    public static IReadOnlyDictionary<string, string> Roles(JsonSection? config, JsonSection? map)
    {
        var roles = new Dictionary<string, string>();
        foreach (var role in s_roles)
            if ((Token(config, role) ?? Token(map, role)) is { } token) roles[role] = token.Content;
        return roles;
    }

    private void AddDecoder(JsonSection decoder)
    {
        (int Id, string Key)[] keys = [.. decoder.Json.EnumerateObject().Select(property => (IdIn(decoder, property.Name), property.Name))];
        foreach (var (id, key) in keys.Order())
        {
            var token = ModelSection.AddedToken(decoder.Section(key), id);
            CheckId(decoder, key, token.Content, id);
            if (_indices.TryGetValue(token.Content, out var index)) _tokens[index] = token;
            else Add(token);
        }
    }

    // added_tokens.json has the ids by content.
    private void AddIds(JsonSection added, HashSet<string> special)
    {
        foreach (var (id, content) in added.Json.EnumerateObject().Select(property => (added.Number(property.Name), property.Name)).Order())
        {
            CheckId(added, content, content, id);
            var isSpecial = special.Contains(content);
            if (!_indices.ContainsKey(content)) Add(new AddedToken(id, content, isSpecial, Normalized: !isSpecial));
        }
    }

    private void Add(AddedToken token)
    {
        _indices.Add(token.Content, _tokens.Count);
        _tokens.Add(token);
    }

    private void CheckId(JsonSection file, string key, string content, int id)
    {
        var isKnown = _indices.ContainsKey(content) || _vocabulary.ContainsKey(content);
        if (IdOf(content) is var expected && expected != id)
            throw file.Fault(MessageText.Text(key),
                $"gives '{MessageText.Text(content)}' the id {id}, but "
                + (isKnown ? $"tokenizer.json gives it {expected}" : $"the next free id after those of tokenizer.json is {expected}"),
                "get the tokenizer's files again, all of the same version");
    }

    private int IdOf(string content)
    {
        if (_indices.TryGetValue(content, out var index)) return _tokens[index].Id;
        if (_vocabulary.TryGetValue(content, out var id)) return id;
        return Math.Max(_vocabulary.Count, _tokens.Count == 0 ? 0 : _tokens.Max(token => token.Id) + 1);
    }

    private static int IdIn(JsonSection decoder, string key) =>
        int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out var id)
            ? id
            : throw decoder.Fault(MessageText.Text(key), "is no token id", "get the file again");

    // The tokens that a file names as special, whose ids it does not say.
    private static IEnumerable<AddedToken> Special(JsonSection? file)
    {
        if (file is null) return [];
        var named = s_roles.Select(role => Token(file, role)).OfType<AddedToken>();
        return [.. named.Where(token => token.Content.Length > 0), .. Listed(file, "additional_special_tokens")];
    }

    private static IEnumerable<AddedToken> Listed(JsonSection file, string key) =>
        file.Array(key).Select((item, i) => item.ValueKind == JsonValueKind.String
            ? new AddedToken(0, item.GetString()!, Special: true)
            : ModelSection.AddedToken(file.Item(key, i, item), 0) with { Special = true });

    private static AddedToken? Token(JsonSection? file, string role) => file?.Find(role) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Object } => ModelSection.AddedToken(file.Section(role), 0) with { Special = true },
        _ => new AddedToken(0, file.Text(role), Special: true),
    };
}
