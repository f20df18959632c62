using static TorchSharp.torch;

namespace Koala.Lab.Decoding.Sampling;

/// <summary>
/// Turns logits into the distribution that tokens are drawn from: temperature, then top-k, then top-p, renormalised.
/// </summary>
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
        var vocabulary = (int)rows.shape[1];
        return [.. Enumerable.Range(0, (int)rows.shape[0]).Select(i => flat[(i * vocabulary)..((i + 1) * vocabulary)])];
    }

    /// <summary>
    /// Does the same as <see cref="FromLogits"/>, but leaves the result on the device and reads nothing on the host.
    /// </summary>
    /// <returns>[n,V], fp32.</returns>
    public static Tensor RowsFromLogits(Tensor logits, GenerationOptions options)
    {
        using var scope = NewDisposeScope();
        var x = logits.to(ScalarType.Float32);
        if (options.Temperature > 0)
        {
            // The best logit is subtracted first, in fp64: division by a tiny temperature would otherwise overflow.
            var wide = x.to(ScalarType.Float64);
            x = ((wide - wide.amax([-1], keepdim: true)) / options.Temperature).to(ScalarType.Float32);
            var vocabulary = x.shape[1];
            if (options.TopK > 0 && options.TopK < vocabulary)
            {
                var smallestKept = x.topk(options.TopK).values.narrow(1, options.TopK - 1, 1);
                x = x.masked_fill(x < smallestKept, double.NegativeInfinity);
            }
            if (options.TopP < 1) x = KeepNucleus(x, options.TopP);
        }
        return x.softmax(-1).MoveToOuterDisposeScope();
    }

    // Keeps the smallest set of tokens whose probability reaches p. The likeliest token always stays.
    private static Tensor KeepNucleus(Tensor x, double p)
    {
        var (sorted, order) = x.sort(-1, descending: true);
        var probabilities = sorted.softmax(-1);
        var outside = (probabilities.cumsum(-1) - probabilities) >= p;
        return x.masked_fill(outside.scatter(-1, order, outside), double.NegativeInfinity);
    }
}
