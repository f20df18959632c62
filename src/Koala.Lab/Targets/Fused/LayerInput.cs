namespace Koala.Lab.Targets.Fused;

/// <summary>What the first of some layers gets; the numbers are those of JOINED in Decoder.cu.</summary>
internal enum LayerInput
{
    /// <summary>The embeddings of tokens: a target.</summary>
    Tokens = 0,

    /// <summary>A linear layer over embedding and feature, without a norm behind it: an EAGLE head.</summary>
    JoinedPairs = 1,

    /// <summary>Embedding and feature, each normed, side by side: an EAGLE-3 head.</summary>
    NormedPairs = 3,
}
