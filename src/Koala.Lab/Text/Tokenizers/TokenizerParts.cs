using Koala.Lab.Text.Chat;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>The parts of a tokenizer, whichever kind of file they come from.</summary>
internal sealed record TokenizerParts
{
    /// <summary>The file, for error messages.</summary>
    public required string Source { get; init; }

    /// <summary>The ids by token, as the vocabulary writes them.</summary>
    public required IReadOnlyDictionary<string, int> Vocabulary { get; init; }

    /// <summary>How the vocabulary writes text.</summary>
    public TokenSpelling Spelling { get; init; } = TokenSpelling.ByteLevel;

    /// <summary>Makes the model, once the vocabulary has been checked.</summary>
    public required Func<IPieceEncoder> Encoder { get; init; }

    /// <summary>What is done to the text first.</summary>
    public Normalizer Normalizer { get; init; } = Normalizer.None;

    /// <summary>The pre-tokenizer, which cuts text into pieces.</summary>
    public required PreTokenizer PreTokenizer { get; init; }

    /// <summary>The tokens in addition to the vocabulary.</summary>
    public IReadOnlyList<AddedToken> AddedTokens { get; init; } = [];

    /// <summary>Whether added tokens that are looked for in the normalized text are normalized too.</summary>
    public bool NormalizesAddedTokens { get; init; } = true;

    /// <summary>The ids that the post-processor puts before a text.</summary>
    public IReadOnlyList<int> Before { get; init; } = [];

    /// <summary>The ids that the post-processor puts after a text.</summary>
    public IReadOnlyList<int> After { get; init; } = [];

    /// <summary>The chat template, if there is one.</summary>
    public ChatTemplate? ChatTemplate { get; init; }

    /// <summary>The hash of everything that decides how a text is encoded.</summary>
    public required string Hash { get; init; }
}
