using Koala.Lab.Text.Chat;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>What a byte-level BPE tokenizer is made of, whichever file it came from.</summary>
internal sealed record TokenizerParts
{
    /// <summary>The file, for messages.</summary>
    public required string Source { get; init; }

    /// <summary>Ids by token; tokens are spelled in the <see cref="ByteAlphabet"/>.</summary>
    public required IReadOnlyDictionary<string, int> Vocabulary { get; init; }

    /// <summary>The pairs that merge, the first first.</summary>
    public required IReadOnlyList<(string Left, string Right)> Merges { get; init; }

    /// <summary>Whether a piece that is a token is taken whole, whatever the merges make of it.</summary>
    public bool IgnoreMerges { get; init; }

    /// <summary>Whether text is composed (Unicode's form NFC) first.</summary>
    public bool Compose { get; init; }

    /// <summary>Cuts text into the pieces that merges stay within.</summary>
    public required PreTokenizer PreTokenizer { get; init; }

    /// <summary>The tokens beside the vocabulary.</summary>
    public IReadOnlyList<AddedToken> AddedTokens { get; init; } = [];

    /// <summary>Ids that the post-processor puts before a text.</summary>
    public IReadOnlyList<int> Before { get; init; } = [];

    /// <summary>Ids that it puts after.</summary>
    public IReadOnlyList<int> After { get; init; } = [];

    /// <summary>The chat template, if there is one.</summary>
    public ChatTemplate? ChatTemplate { get; init; }

    /// <summary>Of everything that decides what a text becomes.</summary>
    public required string Hash { get; init; }
}
