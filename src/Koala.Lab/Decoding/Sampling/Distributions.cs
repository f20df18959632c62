using static TorchSharp.torch;

namespace Koala.Lab.Decoding.Sampling;

/// <summary>From logits to the distribution that tokens are drawn from: temperature, then top-k, then top-p, renormalised.</summary>
internal static class Distributions
{
    /// <param name="logits">[n,V], any dtype and device.</param>
    /// <param name="options">Temperature 0 gives the plain softmax.</param>
    /// <returns>n distributions of V on the host.</returns>
    public static float[][] FromLogits(Tensor logits, GenerationOptions options)
    {
        using var scope = NewDisposeScope();
        var rows = RowsFromLogits(logits, options).cpu();
        var flat = rows.data<float>().ToArray();
        return Enumerable.Range(0, (int)rows.shape[0]).Select(i => flat[(int)(i * rows.shape[1])..(int)((i + 1) * rows.shape[1])]).ToArray();
    }

    /// <summary>As <see cref="FromLogits"/>, left on the device: [n,V] in fp32. Reads nothing on the host.</summary>
    public static Tensor RowsFromLogits(Tensor logits, GenerationOptions options)
    {
        using var scope = NewDisposeScope();
        var x = logits.to(ScalarType.Float32);
        if (options.Temperature > 0)
        {
            // From the best down and in fp64: a tiny temperature would otherwise divide to infinity.
            var below = x.to(ScalarType.Float64);
            x = ((below - below.amax([-1], keepdim: true)) / options.Temperature).to(ScalarType.Float32);
            var vocabulary = x.shape[1];
            if (options.TopK > 0 && options.TopK < vocabulary)
                x = x.masked_fill(x < x.topk(options.TopK).values.narrow(1, options.TopK - 1, 1), double.NegativeInfinity);
            if (options.TopP < 1) x = KeepNucleus(x, options.TopP);
        }
        return x.softmax(-1).MoveToOuterDisposeScope();
    }

    // The smallest set whose probability reaches p; the likeliest token always stays.
    private static Tensor KeepNucleus(Tensor x, double p)
    {
        var (sorted, order) = x.sort(-1, descending: true);
        var probabilities = sorted.softmax(-1);
        var outside = (probabilities.cumsum(-1) - probabilities) >= p;
        return x.masked_fill(outside.scatter(-1, order, outside), double.NegativeInfinity);
    }
}
