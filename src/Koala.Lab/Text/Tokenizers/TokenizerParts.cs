using Koala.Lab.Text.Chat;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>The parts of a byte-level BPE tokenizer, whichever kind of file they come from.</summary>
internal sealed record TokenizerParts
{
    /// <summary>The file, for error messages.</summary>
    public required string Source { get; init; }

    /// <summary>The ids by token. Tokens are written in the <see cref="ByteAlphabet"/>.</summary>
    public required IReadOnlyDictionary<string, int> Vocabulary { get; init; }

    /// <summary>The pairs that are merged, in the order of their priority.</summary>
    public required IReadOnlyList<(string Left, string Right)> Merges { get; init; }

    /// <summary>Whether a piece that is a token becomes that token, whatever the merges say.</summary>
    public bool IgnoreMerges { get; init; }

    /// <summary>What is done to the text first.</summary>
    public Normalizer Normalizer { get; init; } = Normalizer.None;

    /// <summary>The pre-tokenizer, which cuts text into pieces.</summary>
    public required PreTokenizer PreTokenizer { get; init; }

    /// <summary>The tokens in addition to the vocabulary.</summary>
    public IReadOnlyList<AddedToken> AddedTokens { get; init; } = [];

    /// <summary>The ids that the post-processor puts before a text.</summary>
    public IReadOnlyList<int> Before { get; init; } = [];

    /// <summary>The ids that the post-processor puts after a text.</summary>
    public IReadOnlyList<int> After { get; init; } = [];

    /// <summary>The chat template, if there is one.</summary>
    public ChatTemplate? ChatTemplate { get; init; }

    /// <summary>The hash of everything that decides how a text is encoded.</summary>
    public required string Hash { get; init; }
}
