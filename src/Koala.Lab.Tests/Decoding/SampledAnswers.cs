using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Sampling;
using Koala.Lab.Targets;
using MathNet.Numerics.Distributions;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Decoding;

/// <summary>Whether drawn answers have the target's distribution.</summary>
internal static class SampledAnswers
{
    private const int Answers = 1000;

    /// <summary>All answers of a length with their probabilities, from full passes over the target.</summary>
    public static Dictionary<string, double> Distribution(Target target, int[] prompt, GenerationOptions options, int length)
    {
        var answers = new Dictionary<string, double>();
        using var _ = no_grad();
        Grow([], 1);
        return answers;

        void Grow(int[] answer, double probability)
        {
            if (answer.Length == length || (answer.Length > 0 && target.Config.EndOfSequenceIds.Contains(answer[^1])))
            {
                answers[string.Join(' ', answer)] = probability;
                return;
            }
            using var scope = NewDisposeScope();
            using var cache = target.NewCache(1, prompt.Length + length);
            var hidden = target.Append(cache, [.. prompt, .. answer]);
            var row = Distributions.FromLogits(target.Logits(hidden.narrow(0, hidden.shape[0] - 1, 1)), options)[0];
            for (var token = 0; token < row.Length; token++)
                if (row[token] > 0) Grow([.. answer, token], probability * row[token]);
        }
    }

    /// <summary>Draws answers and asserts by a chi-squared test that they have a distribution.</summary>
    /// <returns>The number of accepted candidates.</returns>
    public static int AssertDistribution(
        SpeculativeDecoder decoder, int[] prompt, GenerationOptions options, IReadOnlyDictionary<string, double> expected)
    {
        var (counts, accepted) = (new Dictionary<string, int>(), 0);
        for (var n = 0; n < Answers; n++)
        {
            var answer = decoder.Generate(prompt, options with { Stream = n });
            var key = string.Join(' ', answer.Tokens);
            counts[key] = counts.GetValueOrDefault(key) + 1;
            accepted += answer.Rounds.Sum(r => r.Accepted);
        }
        Assert.Empty(counts.Keys.Except(expected.Keys));
        // All answers that are expected fewer than five times count as one cell.
        var common = expected.Where(e => e.Value * Answers >= 5).ToArray();
        var rest = 1 - common.Sum(e => e.Value);
        var sum = common.Sum(e => Math.Pow(counts.GetValueOrDefault(e.Key) - e.Value * Answers, 2) / (e.Value * Answers));
        if (rest * Answers >= 1)
        {
            var others = Answers - common.Sum(e => counts.GetValueOrDefault(e.Key));
            sum += Math.Pow(others - rest * Answers, 2) / (rest * Answers);
        }
        Assert.InRange(1 - ChiSquared.CDF(common.Length - (rest * Answers >= 1 ? 0 : 1), sum), 0.001, 1);
        return accepted;
    }
}
