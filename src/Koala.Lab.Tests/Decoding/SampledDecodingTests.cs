using Koala.Lab.Decoding;
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
        var options = new GenerationOptions { Temperature = 1, TopK = 3, MaxTokens = 3 };
        var prompt = s_prompts[0].Ids;
        var expected = SampledAnswers.Distribution(ShippedModels.Nano, prompt, options, 3);
        using var scope = NewDisposeScope();
        int[] likeliest = [.. expected.MaxBy(e => e.Value).Key.Split(' ').Select(int.Parse)];
        var head = new ScriptedHead(prompt.Length, 2, (_, length) => likeliest.Skip(1).Take(length))
        {
            Logits = chosen ? null : Marginals(expected),
        };
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        var accepted = SampledAnswers.AssertDistribution(decoder, prompt, options, expected);
        Assert.InRange(accepted, 100, int.MaxValue);   // otherwise nothing was tested
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
}
