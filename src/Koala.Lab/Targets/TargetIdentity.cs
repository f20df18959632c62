namespace Koala.Lab.Targets;

/// <summary>What a draft head remembers of the target it was made for.</summary>
/// <param name="Name">The target's folder name.</param>
/// <param name="HiddenSize">Width of its hidden states.</param>
/// <param name="VocabularySize">Rows of its LM head.</param>
/// <param name="EmbeddingHash">SHA-256 of its embedding in bf16, 32 hex digits; the same for every dtype it is loaded in.</param>
public sealed record TargetIdentity(string Name, int HiddenSize, int VocabularySize, string EmbeddingHash)
{
    /// <summary>One line for errors.</summary>
    public override string ToString() => $"{Name} (hidden size {HiddenSize}, vocabulary {VocabularySize}, embedding {EmbeddingHash[..Math.Min(8, EmbeddingHash.Length)]})";

    /// <summary>Whether a head made for <paramref name="other"/> works here: the name may differ, the weights may not.</summary>
    public bool Matches(TargetIdentity other) =>
        HiddenSize == other.HiddenSize && VocabularySize == other.VocabularySize && EmbeddingHash == other.EmbeddingHash;
}
