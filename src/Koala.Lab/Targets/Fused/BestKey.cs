namespace Koala.Lab.Targets.Fused;

/// <summary>
/// What Decoder.cu makes of a logit and its index, so that the largest number is the best logit, of equal ones the first. A logit that is
/// not finite, and is not minus infinity, is the largest of all.
/// </summary>
internal static class BestKey
{
    /// <summary>The index in a number; <see cref="BestTokens.None"/> where the best logit is not finite.</summary>
    public static int Index(long key)
    {
        var order = (uint)(key >>> 32);
        return order == uint.MaxValue ? BestTokens.None : (int)(uint.MaxValue - (uint)key);
    }
}
