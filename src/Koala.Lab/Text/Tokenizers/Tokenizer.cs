using System.Text;
using Koala.Lab.Checkpoints;
using Koala.Lab.Text.Chat;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>
/// Turns text into a target's tokens and back, as the tokenizers library and SentencePiece do: byte-pair encoding over bytes or
/// over characters, or a unigram model. It is safe to use from many threads.
/// </summary>
public sealed class Tokenizer
{
    private readonly TokenizerParts _parts;
    private readonly PieceCache _encoder;
    private readonly AddedTokenMatcher _beforeNormalizing;
    private readonly AddedTokenMatcher _afterNormalizing;
    private readonly string?[] _tokens;
    private readonly Dictionary<string, int> _added;
    private readonly HashSet<int> _addedIds;
    private readonly HashSet<int> _special;

    /// <exception cref="KoalaException">
    /// An id occurs twice or is out of range, or a merge uses a token outside the vocabulary.
    /// </exception>
    internal Tokenizer(TokenizerParts parts)
    {
        _parts = parts;
        _tokens = VocabularyTable.Make(parts);
        _encoder = new PieceCache(parts.Encoder());
        _beforeNormalizing = new AddedTokenMatcher(parts.AddedTokens.Where(t => !t.Normalized));
        var normalized = parts.AddedTokens.Where(t => t.Normalized)
            .Select(t => parts.NormalizesAddedTokens ? t with { Content = parts.Normalizer.Apply(t.Content, TextPosition.Start) } : t);
        _afterNormalizing = new AddedTokenMatcher(normalized.Where(t => t.Content.Length > 0));
        _added = parts.AddedTokens.ToDictionary(t => t.Content, t => t.Id);
        _addedIds = [.. _added.Values];
        _special = [.. parts.AddedTokens.Where(t => t.Special).Select(t => t.Id)];
    }

    /// <summary>The largest id + 1, including added tokens.</summary>
    public int VocabularySize => _tokens.Length;

    /// <summary>The SHA-256 of everything that decides how a text or a chat is encoded, in hex.</summary>
    public string Hash => _parts.Hash;

    /// <summary>The file that the tokenizer was read from, for error messages.</summary>
    internal string Source => _parts.Source;

    /// <summary>The template that renders chats; null if the model has none.</summary>
    public ChatTemplate? ChatTemplate => _parts.ChatTemplate;

    /// <summary>
    /// Reads the tokenizer of a Hugging Face folder (tokenizer.json, or tokenizer.model where that is missing, and, if they exist,
    /// tokenizer_config.json, added_tokens.json, special_tokens_map.json and chat_template.jinja) or of a GGUF file.
    /// </summary>
    /// <param name="path">The folder or file.</param>
    /// <exception cref="KoalaException">
    /// A file is missing or damaged, or needs something that Koala does not have.
    /// </exception>
    public static Tokenizer Load(string path)
    {
        path = ModelLocation.Find(path).Path;
        try
        {
            return File.Exists(path) ? TokenizerGguf.Read(path) : TokenizerFolder.Read(path);
        }
        catch (Exception e) when (e is not KoalaException)
        {
            // What the readers and the libraries below them do not expect is a fault of the file all the same.
            throw new KoalaException(path,
                $"has a tokenizer that cannot be read ({MessageText.Text(e.Message.TrimEnd('.'))})", "get the model's files again", e);
        }
    }

    /// <summary>
    /// The tokens of a text. Text that is equal to an added token becomes that token; unpaired surrogates become
    /// U+FFFD.
    /// </summary>
    /// <param name="text">Any text.</param>
    /// <param name="addSpecialTokens">
    /// Whether the tokenizer's own tokens, such as Llama 3's begin of text, are put around the text. The default is
    /// false.
    /// </param>
    public IReadOnlyList<int> Encode(string text, bool addSpecialTokens = false)
    {
        KoalaException.ThrowIfNull(text);
        var ids = Encode(text, TextPosition.Start);
        return addSpecialTokens ? [.. _parts.Before, .. ids, .. _parts.After] : ids;
    }

    /// <summary>The tokens of a text that continues a longer one, so that both together are the tokens of the whole.</summary>
    /// <param name="text">Any text.</param>
    /// <param name="before">The token before it; null if it begins the text.</param>
    internal IReadOnlyList<int> EncodeAfter(string text, int? before) => Encode(text, before switch
    {
        null => TextPosition.Start,
        { } id when _addedIds.Contains(id) => TextPosition.AfterAddedToken,
        _ => TextPosition.Within,
    });

    private List<int> Encode(string text, TextPosition position)
    {
        var ids = new List<int>();
        foreach (var (part, added) in _beforeNormalizing.Split(WellFormed(text)))
        {
            if (added is { } id) ids.Add(id);
            else EncodeNormalized(_parts.Normalizer.Apply(part, position), position, ids);
            position = TextPosition.AfterAddedToken;
        }
        return ids;
    }

    /// <summary>The tokens of a chat that waits for the assistant's answer.</summary>
    /// <exception cref="KoalaException">The model has no chat template, or the template throws.</exception>
    public IReadOnlyList<int> EncodeChat(IReadOnlyList<Message> messages) =>
        Encode(RequireChatTemplate().Render(messages, addGenerationPrompt: true));

    /// <summary>The text of tokens. Bytes that are not valid UTF-8 become U+FFFD.</summary>
    /// <param name="ids">The token ids.</param>
    /// <param name="skipSpecialTokens">Whether special tokens are left out. The default is false.</param>
    /// <exception cref="KoalaException">An id is negative.</exception>
    public string Decode(IReadOnlyList<int> ids, bool skipSpecialTokens = false)
    {
        KoalaException.ThrowIfNull(ids);
        var bytes = new List<byte>(4 * ids.Count);
        var isFirst = true;
        foreach (var id in ids)
            if (!skipSpecialTokens || !IsSpecial(id)) bytes.AddRange(Bytes(id, ref isFirst));
        return Encoding.UTF8.GetString([.. bytes]);
    }

    /// <summary>
    /// The text of a token within a text: where <see cref="Decode"/> drops the space that a text begins with, it stays here. Bytes that
    /// are no whole character become U+FFFD.
    /// </summary>
    /// <param name="id">The id of the token.</param>
    /// <exception cref="KoalaException">The id is negative.</exception>
    public string TextOf(int id) => Encoding.UTF8.GetString(Bytes(id));

    /// <summary>
    /// The id of a token as the tokenizer's file writes it (a space is Ġ or ▁); null if there is no such token.
    /// </summary>
    public int? IdOf(string token) =>
        _added.TryGetValue(token, out var id) || _parts.Vocabulary.TryGetValue(token, out id) ? id : null;

    /// <summary>Whether the id belongs to a special token.</summary>
    public bool IsSpecial(int id) => _special.Contains(id);

    /// <summary>The largest id of a token that is not added + 1. A model has at least as many tokens.</summary>
    internal int UnaddedVocabularySize =>
        _parts.Vocabulary.Where(t => !_added.ContainsKey(t.Key)).Select(t => t.Value + 1).DefaultIfEmpty().Max();

    /// <summary>The added tokens.</summary>
    internal IReadOnlyList<AddedToken> AddedTokens => _parts.AddedTokens;

    internal ChatTemplate RequireChatTemplate() => ChatTemplate
        ?? throw new KoalaException(_parts.Source,
            "comes without a chat template",
            $"use {new OptionName("Raw")}, or put a chat_template.jinja into the model's folder");

    /// <summary>
    /// The bytes of one token. Models round their vocabulary up; an id that the model has but the tokenizer does not
    /// has no bytes.
    /// </summary>
    /// <exception cref="KoalaException">The id is negative.</exception>
    internal byte[] Bytes(int id)
    {
        if (id < 0) throw new KoalaException("token id", $"is {id}", "use ids from 0");
        return id < _tokens.Length && _tokens[id] is { } token ? _parts.Spelling.Bytes(token) : [];
    }

    /// <summary>The same, without the space that encoding has put before a text, if no token with bytes came before it.</summary>
    internal ReadOnlySpan<byte> Bytes(int id, ref bool isFirst)
    {
        ReadOnlySpan<byte> bytes = Bytes(id);
        if (!isFirst || bytes.IsEmpty) return bytes;
        isFirst = false;
        return _parts.Spelling.WithoutLeading(bytes);
    }

    private void EncodeNormalized(string text, TextPosition position, List<int> ids)
    {
        foreach (var (part, added) in _afterNormalizing.Split(text))
        {
            if (added is { } id) ids.Add(id);
            else
                foreach (var piece in _parts.PreTokenizer.Pieces(part, position)) ids.AddRange(_encoder.Encode(piece));
            position = TextPosition.AfterAddedToken;
        }
    }

    private static string WellFormed(string text) =>
        text.AsSpan().IndexOfAnyInRange('\ud800', '\udfff') < 0
            ? text
            : Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
}
