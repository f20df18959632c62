namespace Koala.Lab.Decoding.Verification;

/// <summary>
/// The target's next-token distributions at the root and at each candidate of a sequence, on the host.
/// </summary>
/// <remarks>Row 0 belongs to the root and row i+1 to candidate i.</remarks>
/// <param name="BestTokens">
/// The likeliest token of each row, -1 where the logits are not finite; null except in greedy decoding.
/// </param>
/// <param name="P">The distribution of each row; null in greedy decoding without a full trace.</param>
internal sealed record TargetDistributions(int[]? BestTokens, float[][]? P)
{
    /// <summary>Whether all logits that decide a token were finite. One number that is not makes its whole distribution NaN.</summary>
    public bool IsFinite => BestTokens?.Contains(Targets.BestTokens.None) != true && P?.Any(row => float.IsNaN(row[0])) != true;
}
