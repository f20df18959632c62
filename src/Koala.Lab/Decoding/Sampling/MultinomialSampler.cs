using Koala.Lab.Drafting;
using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Decoding.Sampling;

/// <summary>Draws from the head's distribution, tempered and cut as the target's is, without replacement.</summary>
/// <param name="options">Temperature, top-k and top-p.</param>
/// <param name="random">A generator for each sequence, so that an answer does not depend on those beside it.</param>
internal sealed class MultinomialSampler(GenerationOptions options, IReadOnlyList<RandomSource> random) : ITokenSampler
{
    public IReadOnlyList<SampledToken[]> Sample(Tensor logits, int count) => Sample(logits, count, 1);

    public IReadOnlyList<SampledToken[]> Sample(Tensor logits, int count, int times)
    {
        var rows = Distributions.FromLogits(logits, options);
        return [.. rows.SelectMany((q, row) => Enumerable.Range(0, times).Select(_ => SampleWithoutReplacement(q, count, random[row * random.Count / rows.Length])))];
    }

    internal static SampledToken[] SampleWithoutReplacement(float[] q, int count, RandomSource random)
    {
        var sampled = new List<SampledToken>();
        var left = count > 1 ? (float[])q.Clone() : q;
        while (sampled.Count < count && left.Any(x => x > 0))
        {
            var token = TokenDraw.Sample(left, random);
            sampled.Add(new SampledToken(token, q[token], q));
            if (sampled.Count < count) left[token] = 0;
        }
        return [.. sampled];
    }
}
