namespace Koala.Lab.Heads.Eagle;

/// <summary>How an EAGLE head joins embeddings and features, and what follows its layers.</summary>
public enum EagleArchitecture
{
    /// <summary>
    /// EAGLE and EAGLE-2: a linear layer over embedding and feature, a first layer without input norm, and no norm after the last layer.
    /// </summary>
    Eagle1,

    /// <summary>
    /// EAGLE-3, which vLLM, SGLang and speculators serve: embedding and feature are normed, and the attention of the first layer reads
    /// them side by side; the feature itself is the residual. A norm of the head's own stands before the LM head.
    /// </summary>
    Eagle3,
}
