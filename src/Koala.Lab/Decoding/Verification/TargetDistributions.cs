namespace Koala.Lab.Decoding.Verification;

/// <summary>
/// The target's next-token distributions at the root and at each candidate of a sequence, on the host.
/// </summary>
/// <remarks>Row 0 belongs to the root and row i+1 to candidate i.</remarks>
/// <param name="BestTokens">The likeliest token of each row; null except in greedy decoding.</param>
/// <param name="P">The distribution of each row; null in greedy decoding without a full trace.</param>
internal sealed record TargetDistributions(int[]? BestTokens, float[][]? P);
