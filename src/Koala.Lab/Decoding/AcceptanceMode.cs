namespace Koala.Lab.Decoding;

/// <summary>Which candidates the target keeps when it samples.</summary>
public enum AcceptanceMode
{
    /// <summary>Tokens keep the target's own distribution.</summary>
    Lossless,

    /// <summary>Medusa's typical acceptance: longer rounds, but another distribution.</summary>
    Typical,
}
