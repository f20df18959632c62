namespace Koala.Lab.Text.Tokenizers;

/// <summary>What a pre-tokenizer does with the matches of its pattern. The names are those of tokenizer.json.</summary>
internal enum SplitBehaviour
{
    /// <summary>Matches are dropped.</summary>
    Removed,

    /// <summary>Matches are pieces of their own.</summary>
    Isolated,

    /// <summary>A match ends the piece before it.</summary>
    MergedWithPrevious,

    /// <summary>A match begins the piece after it.</summary>
    MergedWithNext,

    /// <summary>Adjacent matches are one piece.</summary>
    Contiguous,
}
