namespace Koala.Lab.Decoding;

/// <summary>Where a token of an answer came from.</summary>
public enum TokenOrigin
{
    /// <summary>The target's own first token, which comes from the step over the prompt.</summary>
    Prefill,

    /// <summary>A candidate that was proposed in a draft and accepted.</summary>
    Accepted,

    /// <summary>The target's own token at the end of a round.</summary>
    Bonus,
}
