namespace Koala.Lab.Drafting.Trees;

/// <summary>
/// Ends a chain where the product of the head's confidences falls below a threshold: the next token would hardly be reached and accepted.
/// </summary>
/// <remarks>
/// Whether a token is drafted is decided before it is chosen, from the tokens before it. A cut that looked at the token, or at anything
/// that was computed from it, would keep some drawn tokens more often than others, and the answers would no longer have the target's
/// distribution (arXiv 2607.05147, appendix A).
/// </remarks>
/// <param name="Threshold">The product below which no further token is drafted, 0 to 1. With 0 the chain is never cut.</param>
/// <param name="Sampled">Whether tokens are sampled; otherwise decoding is greedy. A head has a confidence for each.</param>
public sealed record ConfidenceCut(double Threshold, bool Sampled)
{
    /// <summary>The length at which the chain ends whatever the confidences, for timing such rounds; null in an answer.</summary>
    internal int? At { get; init; }

    /// <summary>Whether one more token is drafted.</summary>
    /// <param name="drafted">The number of tokens that are drafted already.</param>
    /// <param name="product">The product of the confidences up to the next one.</param>
    internal bool GoesOn(int drafted, double product) => At is { } length ? drafted < length : product >= Threshold;
}
