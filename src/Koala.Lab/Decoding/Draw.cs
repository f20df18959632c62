using MathNet.Numerics.Random;

namespace Koala.Lab.Decoding;

/// <summary>Drawing a token.</summary>
internal static class Draw
{
    /// <summary>A generator whose stream depends on the seed and the prompt's number only, on every platform.</summary>
    public static RandomSource Source(int seed, int stream) => new Xoshiro256StarStar(unchecked(seed * 0x3779_97f5 + stream), threadSafe: false);

    /// <summary>An index, drawn with the given weights, which need not add up to one.</summary>
    public static int From(float[] weights, RandomSource random)
    {
        var sum = 0.0;
        foreach (var weight in weights) sum += weight;
        var at = random.NextDouble() * sum;
        var last = 0;
        for (var i = 0; i < weights.Length; i++)
        {
            if (weights[i] <= 0) continue;
            last = i;
            at -= weights[i];
            if (at < 0) return i;
        }
        // Rounding can leave a little over: the last token with any weight takes it.
        return last;
    }
}
