using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Decoding.Sampling;

/// <summary>Drawing a token.</summary>
internal static class TokenDraw
{
    /// <summary>An index, drawn with the given weights, which need not add up to one.</summary>
    public static int Sample(float[] weights, RandomSource random)
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

    /// <summary>As <see cref="Sample"/>, for many rows on the device, with the random numbers given. Reads nothing on the host.</summary>
    /// <param name="weights">[n,V].</param>
    /// <param name="uniforms">From 0 up to but not including 1, [n,1], fp64.</param>
    /// <returns>[n], int64.</returns>
    public static Tensor SampleRows(Tensor weights, Tensor uniforms)
    {
        using var scope = NewDisposeScope();
        // In fp64 as on the host: a sum of 50,000 small numbers in fp32 would leave the rare ones out.
        var sums = weights.cumsum(-1, ScalarType.Float64);
        var at = uniforms * sums.narrow(1, sums.shape[1] - 1, 1);
        return (sums <= at).sum(-1).clamp_max(sums.shape[1] - 1).MoveToOuterDisposeScope();
    }
}
