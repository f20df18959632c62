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

    // The kinds of tokenizers, as files name them.
    private const string BytePairs = "gpt2", SentencePiece = "llama";

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
    private readonly PieceKind[] _types;
    private readonly string _model;

    private TokenizerGguf(GgufFile file)
    {
        _values = file.Metadata;
        _model = _values.Text(Prefix + "model");
        if (_model is not (BytePairs or SentencePiece))
            throw _values.Fault(
                Prefix + "model",
                $"is {MessageText.Text(_model)}, but Koala reads {BytePairs} (byte-level BPE) and {SentencePiece} (SentencePiece)",
                "use a model with one of these tokenizers");
        _tokens = _values.Texts(Prefix + "tokens");
        if (_tokens.Length != file.Config.VocabularySize)
            throw _values.Fault(
                Prefix + "tokens",
                $"lists {_tokens.Length} tokens, but the model's vocabulary has {file.Config.VocabularySize}",
                Fix);
        var types = _values.Numbers(Prefix + "token_type");
        if (types.Length != _tokens.Length)
            throw _values.Fault(
                Prefix + "token_type", $"lists {types.Length} types, but there are {_tokens.Length} tokens", Fix);
        _types = [.. types.Select((type, id) => Enum.IsDefined((PieceKind)type)
            ? (PieceKind)type
            : throw _values.Fault($"{Prefix}token_type[{id}]", $"is {type}, but types are 1 to 6", Fix))];
    }

    /// <exception cref="KoalaException">The file is damaged, or needs something that Koala does not have.</exception>
    public static Tokenizer Read(string path)
    {
        using var file = GgufFile.Open(path);
        return new TokenizerGguf(file).Read();
    }

    private Tokenizer Read() => _model == BytePairs ? ReadBytePairs() : ReadSentencePieces();

    private Tokenizer ReadBytePairs()
    {
        if (_values.Boolean(Prefix + "add_space_prefix", false))
            throw _values.Fault(
                Prefix + "add_space_prefix", "is true, which Koala does not support with byte-level BPE", "use another model");
        var style = GgufPreTokenizers.Find(_values);
        var (vocabulary, merges) = (Vocabulary(), Merges());
        var parts = new TokenizerParts
        {
            Source = _values.Path,
            Vocabulary = vocabulary,
            Encoder = () => new BytePairEncoder(vocabulary, PairMerges.FromList(vocabulary, merges, _values.Path),
                new UnknownText(null, FuseUnknown: false, []), isByteLevel: true, style.IgnoreMerges),
            Normalizer = style.Compose ? Normalizer.Composing : Normalizer.None,
            PreTokenizer = new PreTokenizer([.. style.Steps.Select(step => new PieceStep(step))], _values.Path),
            AddedTokens = AddedTokens(),
            Before = IdsIf("add_bos_token", style.AddsBeginOfSequence, "bos_token_id"),
            After = IdsIf("add_eos_token", false, "eos_token_id"),
            ChatTemplate = ChatTemplate(),
            Hash = "",
        };
        return new Tokenizer(parts with { Hash = Hash(parts, style.Name, merges.Select(merge => $"{merge.Left} {merge.Right}")) });
    }

    // The rules beside the model are those of llama.cpp: what follows an added token gets a space too.
    private Tokenizer ReadSentencePieces()
    {
        var scores = _values.Singles(Prefix + "scores");
        if (scores.Length != _tokens.Length)
            throw _values.Fault(Prefix + "scores", $"lists {scores.Length} scores, but there are {_tokens.Length} tokens", Fix);
        if (Array.FindIndex(scores, score => !float.IsFinite(score)) is var wrong and >= 0)
            throw _values.Fault($"{Prefix}scores[{wrong}]", $"is {scores[wrong]}, but finite numbers are expected", Fix);
        var prefixes = _values.Boolean(Prefix + "add_space_prefix", true);
        var pieces = new SentencePieces([.. _tokens.Select((token, id) => (token, scores[id], _types[id]))])
        {
            Prefix = position => prefixes && position != TextPosition.Within,
            RemovesExtraSpaces = _values.Boolean(Prefix + "remove_extra_whitespaces", false),
        };
        var parts = new TokenizerParts
        {
            Source = _values.Path,
            Vocabulary = Vocabulary(),
            Spelling = pieces.Spelling,
            Encoder = pieces.Encoder,
            Normalizer = pieces.Normalizer,
            PreTokenizer = new PreTokenizer([], _values.Path),
            AddedTokens = AddedTokens(),
            Before = IdsIf("add_bos_token", true, "bos_token_id"),
            After = IdsIf("add_eos_token", false, "eos_token_id"),
            ChatTemplate = ChatTemplate(),
            Hash = "",
        };
        return new Tokenizer(parts with
        {
            Hash = Hash(parts, $"{_model} {prefixes} {pieces.RemovesExtraSpaces}", scores.Select(score => $"{score:R}")),
        });
    }

    private Dictionary<string, int> Vocabulary()
    {
        var ids = new Dictionary<string, int>(_tokens.Length);
        for (var id = 0; id < _tokens.Length; id++)
            if (_types[id] != PieceKind.Unused && !ids.TryAdd(_tokens[id], id))
                throw _values.Fault(
                    $"{Prefix}tokens[{id}]",
                    $"is '{MessageText.Text(_tokens[id])}', which is token {ids[_tokens[id]]} already",
                    Fix);
        return ids;
    }

    private List<AddedToken> AddedTokens() =>
        [.. new SentencePieces([.. _tokens.Select((token, id) => (token, 0f, _types[id]))]).AddedTokens(areNormalized: false)];

    private List<(string Left, string Right)> Merges()
    {
        var merges = new List<(string Left, string Right)>();
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

    private string Hash(TokenizerParts parts, string style, IEnumerable<string> mergesOrScores)
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
        foreach (var (token, type) in _tokens.Zip(_types)) Add($"{(int)type} {token}");
        foreach (var item in mergesOrScores) Add(item);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
