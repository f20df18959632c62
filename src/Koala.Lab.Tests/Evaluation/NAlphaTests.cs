using Koala.Lab.Decoding;
using Koala.Lab.Drafting;
using Koala.Lab.Evaluation.Acceptance;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Tests.Decoding;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Evaluation;

[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class NAlphaTests
{
    /// <summary>Medusa's head n says the token n + 2 places on, whatever is given to it: one pass over the text tells all.</summary>
    [Theory, InlineData(0.0), InlineData(0.8)]
    public void Of_a_medusa_head_it_is_what_a_pass_over_the_text_says(double temperature)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = (MedusaHead)PlainDecoding.RandomHead(ShippedModels.Nano, 2);
        var options = new GenerationOptions { MaxTokens = 20, Temperature = temperature };
        var answers = Answers(options);
        var (accepted, judged) = (new double[4], new double[4]);
        foreach (var answer in answers)
        {
            int[] text = [.. answer.PromptTokens, .. answer.Tokens];
            using var cache = ShippedModels.Nano.NewCache();
            var hidden = ShippedModels.Nano.Append(cache, text);
            var logits = head.Logits(hidden, ShippedModels.Nano);
            var p = ShippedModels.Nano.Logits(hidden);
            for (var root = answer.PromptTokens.Count; root < text.Length; root++)
                for (var n = 0; n < 4 && root + 1 + n < text.Length; n++)
                {
                    var q = logits[n, root - 1];
                    accepted[n] += temperature == 0 ? (q.argmax().item<long>() == text[root + 1 + n] ? 1 : 0)
                        : minimum((p[root + n] / temperature).softmax(-1), (q / temperature).softmax(-1)).sum().item<float>();
                    judged[n]++;
                }
        }
        var alpha = NAlpha.Measure(ShippedModels.Nano, head, answers, options);
        Assert.Equal(4, alpha.Count);
        var config = ShippedModels.Nano.Config;
        // The target's layers, its final norm, two blocks of the head, the LM head and the softmax; each overlap is at most 1.
        var roundings = Tolerance.Roundings(config, config.Layers, 100, 4L * config.HiddenSize + config.VocabularySize);
        for (var n = 0; n < 4; n++) Tolerance.AssertClose(accepted[n] / judged[n], alpha[n], roundings, magnitude: 1);
    }

    /// <summary>
    /// Five steps of an untrained EAGLE head, each on its own output with the right tokens, made here by hand for every
    /// place.
    /// </summary>
    [Theory, InlineData(0), InlineData(200)]
    public void Of_an_eagle_head_it_is_what_its_own_features_and_the_right_tokens_give(int vocabulary)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = DraftHead.Create(new EagleOptions { Layers = 2, DraftVocabulary = vocabulary }, ShippedModels.Nano, seed: 3);
        var answer = Answers(new GenerationOptions { MaxTokens = 14 })[0];
        int[] text = [.. answer.PromptTokens, .. answer.Tokens];
        using var cache = ShippedModels.Nano.NewCache();
        var features = ShippedModels.Nano.Append(cache, text).unsqueeze(0);
        var (accepted, judged) = (new double[5], new double[5]);
        for (var root = answer.PromptTokens.Count; root < text.Length; root++)
        {
            // A drafter of its own for each place, which has read all of the text before it in one go.
            using var drafter = (LevelDrafter)head.NewDrafter(ShippedModels.Nano, 1, 200);
            drafter.Extend(features.narrow(1, 0, root), [text[..(root + 1)]]);
            for (var n = 0; n < 5 && root + 1 + n < text.Length; n++)
            {
                var best = (n == 0 ? drafter.First() : drafter.Next([[text[root + n]]], [[0]])).argmax(-1).item<long>();
                if ((drafter.Vocabulary?.Tokens[(int)best] ?? best) == text[root + 1 + n]) accepted[n]++;
                judged[n]++;
            }
        }
        Assert.Equal(accepted.Zip(judged, (a, j) => a / j), NAlpha.Measure(ShippedModels.Nano, head, [answer]));
    }

    [Fact]
    public void Answers_counted_together_are_counted_as_each_alone()
    {
        using var head = DraftHead.Create(new EagleOptions(), ShippedModels.Nano);
        var answers = Answers(new GenerationOptions { MaxTokens = 12 });
        var together = NAlpha.Count(ShippedModels.Nano, head, answers, new GenerationOptions(), default);
        for (var i = 0; i < answers.Length; i++)
        {
            var baseline = NAlpha.Count(ShippedModels.Nano, head, [answers[i]], new GenerationOptions(), default)[0];
            Assert.Equal(baseline.Total, together[i].Total);
            Assert.Equal(baseline.Accepted, together[i].Accepted);
        }
    }

    [Fact]
    public void A_model_that_drafts_for_itself_is_right_at_every_n_and_what_has_no_distribution_has_none()
    {
        var answers = Answers(new GenerationOptions { MaxTokens = 12 });
        using var model = new DraftModel(ShippedModels.Nano, ShippedModels.Nano);
        Assert.Equal([1, 1, 1, 1, 1], NAlpha.Measure(ShippedModels.Nano, model, answers));
        Assert.Empty(NAlpha.Measure(ShippedModels.Nano, new PromptLookup(), answers));
        Assert.Empty(NAlpha.Measure(ShippedModels.Nano, model, []));
        Assert.Empty(NAlpha.Measure(ShippedModels.Nano, model, [answers[0] with { Tokens = [answers[0].Tokens[0]] }]));
    }

    [Fact]
    public void Nothing_is_left_behind()
    {
        var live = DisposeScopeManager.Statistics.TensorStatistics;
        using var head = DraftHead.Create(new EagleOptions(), ShippedModels.Nano);
        var answers = Answers(new GenerationOptions { MaxTokens = 8 });
        NAlpha.Measure(ShippedModels.Nano, head, answers);
        var before = live.ThreadTotalLiveCount;
        NAlpha.Measure(ShippedModels.Nano, head, answers);
        Assert.Equal(before, live.ThreadTotalLiveCount);
    }

    private static Generation[] Answers(GenerationOptions options)
    {
        using var baseline = new SpeculativeDecoder(ShippedModels.Nano);
        return [.. Golden.Prompts("koala-nano").Take(4).Select(p => baseline.Generate(p.Ids, options))];
    }
}
