using System.Security.Cryptography;
using System.Text;
using Koala.Lab.Checkpoints;
using Koala.Lab.Checkpoints.Gguf;
using Koala.Lab.Text.Chat;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>Reads the tokenizer out of a GGUF file's metadata.</summary>
internal sealed class TokenizerGguf
{
    private const string At = "tokenizer.ggml.";
    private const string Template = "tokenizer.chat_template";
    private const string Fix = "get the file again, or convert the model anew";

    // The file's token types. Normal tokens and single bytes are spelled in the byte alphabet; unused ones only fill the list up.
    private const int Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, SingleByte = 6;

    // What a chat template can ask for, and the keys that hold their ids.
    private static readonly (string Role, string Key)[] s_roles =
        [("bos_token", "bos_token_id"), ("eos_token", "eos_token_id"), ("unk_token", "unknown_token_id"), ("pad_token", "padding_token_id")];

    private readonly GgufMetadata _values;
    private readonly string[] _tokens;
    private readonly int[] _types;

    private TokenizerGguf(GgufFile file)
    {
        _values = file.Metadata;
        if (_values.Text(At + "model") is var model && model != "gpt2")
            throw _values.Fault(At + "model", $"is {MessageText.Text(model)}{(model == "llama" ? " (SentencePiece)" : "")}, but Koala reads gpt2, byte-level BPE", "use a model with a byte-level BPE tokenizer");
        _tokens = _values.Texts(At + "tokens");
        if (_tokens.Length != file.Config.VocabularySize)
            throw _values.Fault(At + "tokens", $"lists {_tokens.Length} tokens, but the model's vocabulary has {file.Config.VocabularySize}", Fix);
        _types = _values.Numbers(At + "token_type");
        if (_types.Length != _tokens.Length)
            throw _values.Fault(At + "token_type", $"lists {_types.Length} types, but there are {_tokens.Length} tokens", Fix);
    }

    /// <exception cref="KoalaException">The file is damaged, or asks for what Koala does not do.</exception>
    public static Tokenizer Read(string path)
    {
        using var file = GgufFile.Open(path);
        return new TokenizerGguf(file).Read();
    }

    private Tokenizer Read()
    {
        if (_values.Switch(At + "add_space_prefix", false))
            throw _values.Fault(At + "add_space_prefix", "is true, which Koala does not do with byte-level BPE", "use another model");
        var style = GgufPreTokenizers.Find(_values);
        var parts = new TokenizerParts
        {
            Source = _values.Path,
            Vocabulary = Vocabulary(),
            Merges = Merges(),
            IgnoreMerges = style.IgnoreMerges,
            Compose = style.Compose,
            PreTokenizer = new PreTokenizer(style.Steps, prefixSpace: false, _values.Path),
            AddedTokens = AddedTokens(),
            Before = _values.Switch(At + "add_bos_token", style.AddsBeginOfSequence) ? [Id("bos_token_id") ?? throw NoId("bos_token_id", "add_bos_token")] : [],
            After = _values.Switch(At + "add_eos_token", false) ? [Id("eos_token_id") ?? throw NoId("eos_token_id", "add_eos_token")] : [],
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
                throw _values.Fault($"{At}tokens[{id}]", $"is '{MessageText.Text(_tokens[id])}', as {ids[_tokens[id]]} is already", Fix);
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
                default: throw _values.Fault($"{At}token_type[{id}]", $"is {_types[id]}, but types are {Normal} to {SingleByte}", Fix);
            }
        return added;
    }

    private List<(string, string)> Merges()
    {
        var merges = new List<(string, string)>();
        foreach (var merge in _values.Texts(At + "merges"))
        {
            var pair = merge.Split(' ');
            if (pair.Length != 2 || pair[0].Length == 0 || pair[1].Length == 0)
                throw _values.Fault($"{At}merges[{merges.Count}]", $"is '{MessageText.Text(merge)}', but two tokens with a space between are expected", Fix);
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

    private int? Id(string key) => _values.OptionalId(At + key, _tokens.Length);

    private KoalaException NoId(string key, string why) => _values.Fault(At + key, $"is missing, but {why} asks for it", Fix);

    private string Hash(TokenizerParts parts, string style)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        void Add(string text)
        {
            // The length first, so that no two lists give the same bytes.
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
