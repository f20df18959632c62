namespace Koala.Lab.Decoding;

/// <summary>Which candidates are accepted when answers are sampled.</summary>
public enum AcceptanceMode
{
    /// <summary>Tokens have the target's own distribution.</summary>
    Lossless,

    /// <summary>Medusa's typical acceptance: more tokens per round, but another distribution.</summary>
    Typical,
}
