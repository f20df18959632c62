namespace Koala.Lab.Decoding.Verification;

/// <summary>What the target says at the root and at each candidate of a sequence, on the host.</summary>
/// <remarks>Row 0 is the root's, row i+1 is candidate i's.</remarks>
/// <param name="BestTokens">The likeliest token of each row; greedy only.</param>
/// <param name="P">The distribution of each row; sampling, and full traces.</param>
internal sealed record TargetDistributions(int[]? BestTokens, float[][]? P);
