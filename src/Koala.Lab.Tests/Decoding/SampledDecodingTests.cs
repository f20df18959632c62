using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Sampling;
using MathNet.Numerics.Distributions;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Decoding;

/// <summary>The complete decoder at a temperature above 0.</summary>
public sealed class SampledDecodingTests
{
    public static TheoryData<GenerationOptions> Settings => new()
    {
        new GenerationOptions { Temperature = 1, MaxTokens = 24 },
        new GenerationOptions { Temperature = 0.7, TopP = 0.9, MaxTokens = 24 },
        new GenerationOptions { Temperature = 0.7, TopK = 20, MaxTokens = 24, DraftLength = 2 },
    };

    private static readonly IReadOnlyList<GoldenPrompt> s_prompts = Golden.Prompts("koala-nano");

    [Theory, MemberData(nameof(Settings))]
    public void The_same_seed_and_stream_give_the_same_answer_whatever_came_before(GenerationOptions options)
    {
        using var head = PlainDecoding.RecordedHead();
        using var first = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        using var second = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        var expected = first.Generate(s_prompts[0].Ids, options with { Stream = 5 });
        second.Generate(s_prompts[1].Ids, options with { Stream = 3, MaxTokens = 100 });
        second.Generate(s_prompts[2].Ids, new GenerationOptions { MaxTokens = 7 });
        var again = second.Generate(s_prompts[0].Ids, options with { Stream = 5 });
        Assert.Equal(expected.Tokens, again.Tokens);
        Assert.Equal(expected.Rounds.Select(r => (r.Drafted, r.Accepted)), again.Rounds.Select(r => (r.Drafted, r.Accepted)));
    }

    [Theory, MemberData(nameof(Settings))]
    public void Other_streams_and_other_seeds_give_other_answers(GenerationOptions options)
    {
        using var head = PlainDecoding.RecordedHead();
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        var answers = new HashSet<string>();
        for (var n = 0; n < 4; n++)
        {
            answers.Add(string.Join(' ', decoder.Generate(s_prompts[1].Ids, options with { Stream = n }).Tokens));
            answers.Add(string.Join(' ', decoder.Generate(s_prompts[1].Ids, options with { Seed = n + 1 }).Tokens));
        }
        Assert.Equal(8, answers.Count);
    }

    /// <summary>
    /// With a head that draws candidates and one that chooses them, the first three tokens follow the target's
    /// distribution.
    /// </summary>
    [Theory, InlineData(false), InlineData(true)]
    public void The_answers_have_the_targets_distribution(bool chosen)
    {
        const int Answers = 1000;
        var options = new GenerationOptions { Temperature = 1, TopK = 3, MaxTokens = 3 };
        var prompt = s_prompts[0].Ids;
        var expected = Distribution(prompt, options, 3);
        using var scope = NewDisposeScope();
        int[] likeliest = [.. expected.MaxBy(e => e.Value).Key.Split(' ').Select(int.Parse)];
        var head = new ScriptedHead(prompt.Length, 2, (_, length) => likeliest.Skip(1).Take(length))
        {
            Logits = chosen ? null : Marginals(expected),
        };
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        var (counts, accepted) = (new Dictionary<string, int>(), 0);
        for (var n = 0; n < Answers; n++)
        {
            var answer = decoder.Generate(prompt, options with { Stream = n });
            var key = string.Join(' ', answer.Tokens);
            counts[key] = counts.GetValueOrDefault(key) + 1;
            accepted += answer.Rounds.Sum(r => r.Accepted);
        }
        Assert.InRange(accepted, 100, int.MaxValue);   // otherwise nothing was tested
        Assert.Empty(counts.Keys.Except(expected.Keys));
        // All answers that are expected fewer than five times count as one cell.
        var common = expected.Where(e => e.Value * Answers >= 5).ToArray();
        var rest = 1 - common.Sum(e => e.Value);
        var sum = common.Sum(e => Math.Pow(counts.GetValueOrDefault(e.Key) - e.Value * Answers, 2) / (e.Value * Answers));
        if (rest * Answers >= 1)
            sum += Math.Pow(Answers - common.Sum(e => counts.GetValueOrDefault(e.Key)) - rest * Answers,
                2) / (rest * Answers);
        Assert.InRange(1 - ChiSquared.CDF(common.Length - (rest * Answers >= 1 ? 0 : 1), sum), 0.001, 1);
    }

    // How often each token comes second and third, as logits. A head without any other knowledge would draw from this
    // distribution.
    private static Tensor Marginals(Dictionary<string, double> answers)
    {
        var sums = new float[2, 512];
        foreach (var (key, probability) in answers)
        {
            var tokens = key.Split(' ').Select(int.Parse).ToArray();
            for (var i = 1; i < tokens.Length; i++) sums[i - 1, tokens[i]] += (float)probability;
        }
        return tensor(sums).log();
    }

    // All answers of a length with their probabilities, from full passes over the target.
    private static Dictionary<string, double> Distribution(int[] prompt, GenerationOptions options, int length)
    {
        var answers = new Dictionary<string, double>();
        using var _ = no_grad();
        Grow([], 1);
        return answers;

        void Grow(int[] answer, double probability)
        {
            if (answer.Length == length
                || (answer.Length > 0 && ShippedModels.Nano.Config.EndOfSequenceIds.Contains(answer[^1])))
            {
                answers[string.Join(' ', answer)] = probability;
                return;
            }
            using var scope = NewDisposeScope();
            using var cache = ShippedModels.Nano.NewCache(1, prompt.Length + length);
            var hidden = ShippedModels.Nano.Append(cache, [.. prompt, .. answer]);
            var row = Distributions.FromLogits(ShippedModels.Nano.Logits(hidden.narrow(0, hidden.shape[0] - 1, 1)), options)[0];
            for (var token = 0; token < row.Length; token++)
                if (row[token] > 0) Grow([.. answer, token], probability * row[token]);
        }
    }
}
