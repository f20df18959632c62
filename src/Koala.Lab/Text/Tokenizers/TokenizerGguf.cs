using System.Security.Cryptography;
using System.Text;
using Koala.Lab.Checkpoints.Gguf;
using Koala.Lab.Text.Chat;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>Reads the tokenizer from the metadata of a GGUF file.</summary>
internal sealed class TokenizerGguf
{
    private const string Prefix = "tokenizer.ggml.";
    private const string Template = "tokenizer.chat_template";
    private const string Fix = "get the file again, or convert the model again";

    // The token types of the file. Normal tokens and single bytes are written in the byte alphabet; unused ones only
    // fill the list.
    private const int Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, SingleByte = 6;

    // The tokens that a chat template can refer to, and the keys that hold their ids.
    private static readonly (string Role, string Key)[] s_roles =
    [
        ("bos_token", "bos_token_id"),
        ("eos_token", "eos_token_id"),
        ("unk_token", "unknown_token_id"),
        ("pad_token", "padding_token_id"),
    ];

    private readonly GgufMetadata _values;
    private readonly string[] _tokens;
    private readonly int[] _types;

    private TokenizerGguf(GgufFile file)
    {
        _values = file.Metadata;
        if (_values.Text(Prefix + "model") is var model && model != "gpt2")
        {
            var kind = model == "llama" ? " (SentencePiece)" : "";
            throw _values.Fault(
                Prefix + "model",
                $"is {MessageText.Text(model)}{kind}, but Koala reads gpt2, byte-level BPE",
                "use a model with a byte-level BPE tokenizer");
        }
        _tokens = _values.Texts(Prefix + "tokens");
        if (_tokens.Length != file.Config.VocabularySize)
            throw _values.Fault(
                Prefix + "tokens",
                $"lists {_tokens.Length} tokens, but the model's vocabulary has {file.Config.VocabularySize}",
                Fix);
        _types = _values.Numbers(Prefix + "token_type");
        if (_types.Length != _tokens.Length)
            throw _values.Fault(
                Prefix + "token_type", $"lists {_types.Length} types, but there are {_tokens.Length} tokens", Fix);
    }

    /// <exception cref="KoalaException">The file is damaged, or needs something that Koala does not have.</exception>
    public static Tokenizer Read(string path)
    {
        using var file = GgufFile.Open(path);
        return new TokenizerGguf(file).Read();
    }

    private Tokenizer Read()
    {
        if (_values.Boolean(Prefix + "add_space_prefix", false))
            throw _values.Fault(
                Prefix + "add_space_prefix", "is true, which Koala does not support with byte-level BPE", "use another model");
        var style = GgufPreTokenizers.Find(_values);
        var parts = new TokenizerParts
        {
            Source = _values.Path,
            Vocabulary = Vocabulary(),
            Merges = Merges(),
            IgnoreMerges = style.IgnoreMerges,
            Normalizer = style.Compose ? Normalizer.Composing : Normalizer.None,
            PreTokenizer = new PreTokenizer(style.Steps, prefixSpace: false, _values.Path),
            AddedTokens = AddedTokens(),
            Before = IdsIf("add_bos_token", style.AddsBeginOfSequence, "bos_token_id"),
            After = IdsIf("add_eos_token", false, "eos_token_id"),
            ChatTemplate = ChatTemplate(),
            Hash = "",
        };
        return new Tokenizer(parts with { Hash = Hash(parts, style.Name) });
    }

    private Dictionary<string, int> Vocabulary()
    {
        var ids = new Dictionary<string, int>(_tokens.Length);
        for (var id = 0; id < _tokens.Length; id++)
            if (_types[id] != Unused && !ids.TryAdd(_tokens[id], id))
                throw _values.Fault(
                    $"{Prefix}tokens[{id}]",
                    $"is '{MessageText.Text(_tokens[id])}', which is token {ids[_tokens[id]]} already",
                    Fix);
        return ids;
    }

    private List<AddedToken> AddedTokens()
    {
        var added = new List<AddedToken>();
        for (var id = 0; id < _types.Length; id++)
            switch (_types[id])
            {
                case Normal or SingleByte or Unused: break;
                case Control or Unknown: added.Add(new AddedToken(id, _tokens[id], Special: true)); break;
                case UserDefined: added.Add(new AddedToken(id, _tokens[id], Special: false)); break;
                default:
                    throw _values.Fault(
                        $"{Prefix}token_type[{id}]", $"is {_types[id]}, but types are {Normal} to {SingleByte}", Fix);
            }
        return added;
    }

    private List<(string, string)> Merges()
    {
        var merges = new List<(string, string)>();
        foreach (var merge in _values.Texts(Prefix + "merges"))
        {
            var pair = merge.Split(' ');
            if (pair.Length != 2 || pair[0].Length == 0 || pair[1].Length == 0)
                throw _values.Fault(
                    $"{Prefix}merges[{merges.Count}]",
                    $"is '{MessageText.Text(merge)}', but two tokens with a space between them are expected",
                    Fix);
            merges.Add((pair[0], pair[1]));
        }
        return merges;
    }

    private ChatTemplate? ChatTemplate()
    {
        if (_values.OptionalText(Template) is not { } text) return null;
        var tokens = new Dictionary<string, string>();
        foreach (var (role, key) in s_roles)
            if (Id(key) is { } id) tokens[role] = _tokens[id];
        return new ChatTemplate(text, tokens, $"{_values.Path}: {Template}");
    }

    private int? Id(string key) => _values.OptionalId(Prefix + key, _tokens.Length);

    // The id at the key if the switch is on, otherwise none.
    private int[] IdsIf(string switchKey, bool standard, string idKey)
    {
        if (!_values.Boolean(Prefix + switchKey, standard)) return [];
        return [Id(idKey) ?? throw _values.Fault(Prefix + idKey, $"is missing, but {switchKey} needs it", Fix)];
    }

    private string Hash(TokenizerParts parts, string style)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        void Add(string text)
        {
            // The length comes first, so that two different lists never give the same bytes.
            var bytes = Encoding.UTF8.GetBytes(text);
            hash.AppendData(BitConverter.GetBytes(bytes.Length));
            hash.AppendData(bytes);
        }
        Add(style);
        Add(string.Join(',', parts.Before) + '|' + string.Join(',', parts.After));
        Add(parts.ChatTemplate?.Identity ?? "");
        foreach (var (token, type) in _tokens.Zip(_types)) Add($"{type} {token}");
        foreach (var (left, right) in parts.Merges) Add($"{left} {right}");
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
