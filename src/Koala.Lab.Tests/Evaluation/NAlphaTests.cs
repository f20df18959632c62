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
    /// <summary>
    /// Medusa's head n predicts the token n + 2 positions ahead, whatever was drafted before, so one pass over the text
    /// gives every n-alpha.
    /// </summary>
    [Theory, InlineData(0.0), InlineData(0.8)]
    public void For_a_Medusa_head_it_equals_one_pass_over_the_text(double temperature)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = (MedusaHead)PlainDecoding.RandomHead(ShippedModels.Nano, 2);
        var options = new GenerationOptions { MaxTokens = 20, Temperature = temperature };
        var answers = Answers(options);
        var (accepted, compared) = (new double[4], new double[4]);
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
                    compared[n]++;
                }
        }
        var alpha = NAlpha.Measure(ShippedModels.Nano, head, answers, options);
        Assert.Equal(4, alpha.Count);
        var config = ShippedModels.Nano.Config;
        // The target's layers, its final norm, two blocks of the head, the LM head and the softmax; each overlap is at most 1.
        var roundings = Tolerance.Roundings(config, config.Layers, 100, 4L * config.HiddenSize + config.VocabularySize);
        for (var n = 0; n < 4; n++) Tolerance.AssertClose(accepted[n] / compared[n], alpha[n], roundings, magnitude: 1);
    }

    /// <summary>
    /// Five steps of an untrained EAGLE head, each on its own output with the correct tokens, computed here by hand for
    /// every position.
    /// </summary>
    [Theory, InlineData(0), InlineData(200)]
    public void For_an_EAGLE_head_it_equals_running_on_its_own_features_and_the_correct_tokens(int vocabulary)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = DraftHead.Create(new EagleOptions { Layers = 2, DraftVocabulary = vocabulary },
            ShippedModels.Nano, seed: 3);
        var answer = Answers(new GenerationOptions { MaxTokens = 14 })[0];
        int[] text = [.. answer.PromptTokens, .. answer.Tokens];
        using var cache = ShippedModels.Nano.NewCache();
        var features = ShippedModels.Nano.Append(cache, text).unsqueeze(0);
        var (accepted, compared) = (new double[5], new double[5]);
        for (var root = answer.PromptTokens.Count; root < text.Length; root++)
        {
            // Each position gets its own drafter, which has read all of the text before it in one call.
            using var drafter = (LevelDrafter)head.NewDrafter(ShippedModels.Nano, 1, 200);
            drafter.Extend(features.narrow(1, 0, root), [text[..(root + 1)]]);
            for (var n = 0; n < 5 && root + 1 + n < text.Length; n++)
            {
                var best = (n == 0 ? drafter.First() : drafter.Next([[text[root + n]]], [[0]])).argmax(-1).item<long>();
                if ((drafter.Vocabulary?.Tokens[(int)best] ?? best) == text[root + 1 + n]) accepted[n]++;
                compared[n]++;
            }
        }
        Assert.Equal(accepted.Zip(compared, (a, j) => a / j), NAlpha.Measure(ShippedModels.Nano, head, [answer]));
    }

    [Fact]
    public void Counting_answers_together_equals_counting_each_separately()
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
    public void A_model_that_drafts_for_itself_is_correct_at_every_n_and_a_source_without_distributions_has_no_n_alpha()
    {
        var answers = Answers(new GenerationOptions { MaxTokens = 12 });
        using var model = new DraftModel(ShippedModels.Nano, ShippedModels.Nano);
        Assert.Equal([1, 1, 1, 1, 1], NAlpha.Measure(ShippedModels.Nano, model, answers));
        Assert.Empty(NAlpha.Measure(ShippedModels.Nano, new PromptLookup(), answers));
        Assert.Empty(NAlpha.Measure(ShippedModels.Nano, model, []));
        Assert.Empty(NAlpha.Measure(ShippedModels.Nano, model, [answers[0] with { Tokens = [answers[0].Tokens[0]] }]));
    }

    [Fact]
    public void No_tensors_are_leaked()
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
