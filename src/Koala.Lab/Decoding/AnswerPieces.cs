using Koala.Lab.Text.Tokenizers;

namespace Koala.Lab.Decoding;

/// <summary>The text that a token brought to an answer.</summary>
/// <param name="Text">The text. A character that is spread over several tokens belongs to the last of them.</param>
/// <param name="Origin">Where the token came from.</param>
/// <param name="Special">
/// Whether the token is a special one, such as the end of the sequence. Its text is its name, which is not part of the answer.
/// </param>
public sealed record AnswerPiece(string Text, TokenOrigin Origin, bool Special);

/// <summary>Divides an answer, as it streams or afterwards, into the texts of its tokens.</summary>
/// <param name="tokenizer">The target's tokenizer.</param>
public sealed class AnswerPieces(Tokenizer tokenizer)
{
    private readonly StreamingDetokenizer _detokenizer = new(tokenizer);

    // The tokens whose text has not been shown, because it is held back until it cannot be the beginning of a stop text.
    private readonly List<Waiting> _waiting = [];
    private TokenOrigin _last;

    // A special token has no characters in the answer.
    private readonly record struct Waiting(int Characters, TokenOrigin Origin, string? Special);

    /// <summary>The pieces of an answer that is complete.</summary>
    /// <param name="generation">The answer with its rounds.</param>
    /// <param name="tokenizer">The target's tokenizer.</param>
    public static IReadOnlyList<AnswerPiece> Of(Generation generation, Tokenizer tokenizer)
    {
        // The answer may hold only a part of the last round.
        var rounds = generation.Rounds.SelectMany(r => Enumerable.Repeat(TokenOrigin.Accepted, r.Accepted).Append(TokenOrigin.Bonus));
        var origins = rounds.Prepend(TokenOrigin.Prefill).Take(generation.Tokens.Count);
        return new AnswerPieces(tokenizer).Append(new GenerationChunk(generation.Text, generation.Tokens, [.. origins]));
    }

    /// <summary>Adds what a round committed.</summary>
    /// <param name="chunk">The chunk, as the decoder passes it on.</param>
    /// <returns>The pieces of the chunk's text, and the special tokens among them.</returns>
    public IReadOnlyList<AnswerPiece> Append(GenerationChunk chunk)
    {
        KoalaException.ThrowIfNull(chunk);
        foreach (var (token, origin) in chunk.Tokens.Zip(chunk.Origins))
        {
            var special = tokenizer.IsSpecial(token);
            _waiting.Add(new Waiting(_detokenizer.Append(token).Length, origin, special ? tokenizer.TextOf(token) : null));
            _last = origin;
        }
        return Take(chunk.Text);
    }

    private List<AnswerPiece> Take(string text)
    {
        var pieces = new List<AnswerPiece>();
        while (_waiting is [var next, ..])
        {
            var taken = Math.Min(next.Characters, text.Length);
            if (next.Special is { } name) pieces.Add(new AnswerPiece(name, next.Origin, Special: true));
            else if (taken > 0) pieces.Add(new AnswerPiece(text[..taken], next.Origin, Special: false));
            text = text[taken..];
            _waiting[0] = next with { Characters = next.Characters - taken };
            // Its other characters come with a later chunk, before those of all other tokens.
            if (taken < next.Characters) break;
            _waiting.RemoveAt(0);
        }
        // The end of an answer shows a character that was not finished.
        if (text.Length > 0) pieces.Add(new AnswerPiece(text, _last, Special: false));
        return pieces;
    }
}
