using Koala.Lab.Drafting;
using Koala.Lab.Targets;
using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Decoding.Sampling;

/// <summary>
/// Draws from the head's distribution without replacement. Temperature, top-k and top-p apply to it as they do to the
/// target's.
/// </summary>
/// <param name="options">The temperature, top-k and top-p.</param>
/// <param name="random">
/// One random generator per sequence, so that an answer does not depend on the other answers of the batch.
/// </param>
internal sealed class MultinomialSampler(GenerationOptions options, IReadOnlyList<RandomSource> random) : ITokenSampler
{
    public IReadOnlyList<SampledToken[]> Sample(Tensor logits, int count) => Sample(logits, count, 1);

    public IReadOnlyList<SampledToken[]> Sample(Tensor logits, int count, int times)
    {
        var rows = Distributions.FromLogits(logits, options);
        // The rows of a sequence are adjacent, and all sequences have the same number of rows.
        IEnumerable<SampledToken[]> SampleRow(float[] q, int row)
        {
            // A logit that is not finite makes the whole distribution NaN.
            if (float.IsNaN(q[0])) return Enumerable.Repeat<SampledToken[]>([new(BestTokens.None, null, q)], times);
            var generator = random[row * random.Count / rows.Length];
            return Enumerable.Range(0, times).Select(_ => SampleWithoutReplacement(q, count, generator));
        }
        return [.. rows.SelectMany(SampleRow)];
    }

    public IReadOnlyList<SampledToken[]> Sample(Tensor logits, IReadOnlyList<int> sequences) =>
        [.. Distributions.FromLogits(logits, options).Select((q, row) => float.IsNaN(q[0])
            ? [new SampledToken(BestTokens.None, null, q)]
            : SampleWithoutReplacement(q, 1, random[sequences[row]]))];

    internal static SampledToken[] SampleWithoutReplacement(float[] q, int count, RandomSource random)
    {
        var sampled = new List<SampledToken>();
        var remaining = count > 1 ? (float[])q.Clone() : q;
        while (sampled.Count < count && remaining.Any(x => x > 0))
        {
            var token = TokenDraw.Sample(remaining, random);
            sampled.Add(new SampledToken(token, q[token], q));
            if (sampled.Count < count) remaining[token] = 0;
        }
        return [.. sampled];
    }
}
