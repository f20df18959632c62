using Koala.Lab.Targets;
using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Decoding.Sampling;

/// <summary>Draws a token from a distribution.</summary>
internal static class TokenDraw
{
    /// <summary>Draws an index with the given weights, which need not add up to one.</summary>
    public static int Sample(float[] weights, RandomSource random)
    {
        var sum = 0.0;
        foreach (var weight in weights) sum += weight;
        var remaining = random.NextDouble() * sum;
        var last = 0;
        for (var i = 0; i < weights.Length; i++)
        {
            if (weights[i] <= 0) continue;
            last = i;
            remaining -= weights[i];
            if (remaining < 0) return i;
        }
        // Rounding can leave a small remainder. The last token with any weight gets it.
        return last;
    }

    /// <summary>
    /// Does the same as <see cref="Sample"/> for many rows on the device. It reads nothing on the host.
    /// </summary>
    /// <param name="weights">The weights of each row, [n,V].</param>
    /// <param name="uniforms">A random number for each row, from 0 up to but not including 1, [n,1], fp64.</param>
    /// <returns>The index drawn for each row, [n], int64; -1 where the weights are not finite.</returns>
    public static Tensor SampleRows(Tensor weights, Tensor uniforms)
    {
        using var scope = NewDisposeScope();
        // In fp64, as on the host: an fp32 sum of 50,000 small numbers would lose the rare tokens.
        var sums = weights.cumsum(-1, ScalarType.Float64);
        var thresholds = uniforms * sums.narrow(1, sums.shape[1] - 1, 1);
        var drawn = (sums <= thresholds).sum(-1).clamp_max(sums.shape[1] - 1);
        return BestTokens.Mark(drawn, thresholds.squeeze(1)).MoveToOuterDisposeScope();
    }
}
