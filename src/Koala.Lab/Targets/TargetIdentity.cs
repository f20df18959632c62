namespace Koala.Lab.Targets;

/// <summary>What a draft head stores about the target it was made for.</summary>
/// <param name="Name">The target's folder name.</param>
/// <param name="HiddenSize">The width of its hidden states.</param>
/// <param name="VocabularySize">The number of rows of its LM head.</param>
/// <param name="EmbeddingHash">
/// The SHA-256 of its embedding in bf16, 32 hex digits. It is the same for every dtype in which the target is loaded.
/// </param>
public sealed record TargetIdentity(string Name, int HiddenSize, int VocabularySize, string EmbeddingHash)
{
    /// <summary>A description of one line, for errors.</summary>
    public override string ToString()
    {
        var hash = EmbeddingHash[..Math.Min(8, EmbeddingHash.Length)];
        return $"{Name} (hidden size {HiddenSize}, vocabulary {VocabularySize}, embedding {hash})";
    }

    /// <summary>
    /// Whether a head made for <paramref name="other"/> works with this target: the names may differ, but the weights
    /// may not.
    /// </summary>
    public bool Matches(TargetIdentity other) =>
        HiddenSize == other.HiddenSize && VocabularySize == other.VocabularySize && EmbeddingHash == other.EmbeddingHash;
}
