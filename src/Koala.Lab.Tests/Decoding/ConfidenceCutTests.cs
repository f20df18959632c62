using Koala.Lab.Decoding;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Targets;
using Koala.Lab.Tests.Heads;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Decoding;

/// <summary>Chains that end where the head's own confidence is low.</summary>
public sealed class ConfidenceCutTests
{
    private static readonly IReadOnlyList<GoldenPrompt> s_prompts = Golden.Prompts("koala-nano");

    /// <summary>A chain goes on as long as the product of its confidences reaches the threshold.</summary>
    [Theory]
    [InlineData(0.5, 2, 1)]     // 0.9, 0.9·0.6 = 0.54; 0.7, 0.7·0.6 = 0.42
    [InlineData(0.1, 3, 3)]
    [InlineData(0.75, 1, 0)]
    [InlineData(1, 0, 0)]
    public void It_is_decided_before_a_token_is_chosen(double threshold, int first, int second)
    {
        using var scope = NewDisposeScope();
        using var drafter = new Confident([[0.9f, 0.7f], [0.6f, 0.6f], [0.5f, 0.5f]]);
        var sampler = new Counting();
        var drafts = drafter.Propose(new ChainTree(3) { Cut = new ConfidenceCut(threshold, Sampled: true) }, sampler);
        Assert.Equal([first, second], drafts.Select(draft => draft.Candidates.Count));
        Assert.All(drafts, draft => Assert.True(draft.IsChain));
        // No random number is spent on a token that is not drafted, and no level is computed that nobody needs.
        Assert.Equal(first + second, sampler.Drawn);
        Assert.Equal(Math.Min(Math.Max(first, second) + 1, 3), drafter.Levels);
    }

    [Theory, InlineData("eagle"), InlineData("eagle-3"), InlineData("medusa"), InlineData("markov")]
    public void Greedy_answers_are_equal_with_and_without(string kind)
    {
        using var head = Head(kind);
        int[][] prompts = [.. s_prompts.Take(4).Select(prompt => prompt.Ids)];
        var expected = prompts.Select(prompt => PlainDecoding.Answer(ShippedModels.Nano, prompt, 30)).ToArray();
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        var lengths = new HashSet<int>();
        foreach (var threshold in (double[])[0, 0.2, 0.4, 1])
        {
            var options = new GenerationOptions { MaxTokens = 30, DraftLength = 3, ConfidenceThreshold = threshold };
            Assert.Equal(expected, decoder.GenerateAll(prompts, options).Select(answer => answer.Tokens.ToArray()));
            Assert.Equal(expected, prompts.Select(prompt => decoder.Generate(prompt, options).Tokens.ToArray()));
            if (threshold is 0.2 or 0.4) lengths.UnionWith(decoder.Trace.Rounds.Select(round => round.Drafted));
            if (threshold == 1) Assert.All(decoder.Trace.Rounds, round => Assert.Equal(0, round.Drafted));
        }
        Assert.True(lengths.Count > 2, $"drafts of {string.Join(", ", lengths)} tokens");
    }

    /// <summary>The first three tokens follow the target's distribution, and rounds of several lengths occur.</summary>
    [Theory, InlineData("eagle"), InlineData("markov")]
    public void Sampled_answers_have_the_targets_distribution(string kind)
    {
        var options = new GenerationOptions { Temperature = 1, TopK = 3, MaxTokens = 3, DraftLength = 2, ConfidenceThreshold = 0.3 };
        var prompt = s_prompts[0].Ids;
        using var head = Head(kind);
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        SampledAnswers.AssertDistribution(decoder, prompt, options, SampledAnswers.Distribution(ShippedModels.Nano, prompt, options, 3));
        var lengths = Enumerable.Range(0, 40).SelectMany(n => decoder.Generate(prompt, options with { Stream = n }).Rounds)
            .Select(round => round.Drafted).ToHashSet();
        Assert.True(lengths.Count > 1, $"drafts of {string.Join(", ", lengths)} tokens");
    }

    /// <summary>
    /// The second token is drafted with the target's own distribution or a flat one, and dropped if it is the likeliest. Then it is drawn
    /// again from p, so that it occurs too rarely: the same test fails.
    /// </summary>
    [Fact]
    public void A_cut_by_the_next_tokens_outcome_fails_the_same_test()
    {
        using var scope = NewDisposeScope();
        var options = new GenerationOptions { Temperature = 1, TopK = 3, MaxTokens = 2, DraftLength = 1 };
        var prompt = s_prompts[0].Ids;
        var expected = SampledAnswers.Distribution(ShippedModels.Nano, prompt, options, 2);
        int[] likely = [.. expected.OrderByDescending(e => e.Value).Take(3).Select(e => int.Parse(e.Key.Split(' ')[1]))];
        var logits = full([1, 512], double.NegativeInfinity);
        foreach (var (token, weight) in likely.Distinct().Zip((double[])[1, 0.5, 0])) logits[0, token] = weight;
        void Check(Func<Candidate, bool>? drop)
        {
            var source = new Lookahead(logits, drop);
            using var decoder = new SpeculativeDecoder(ShippedModels.Nano, source) { ChooseDraftLength = false };
            SampledAnswers.AssertDistribution(decoder, prompt, options, expected);
        }
        Check(drop: null);
        Assert.ThrowsAny<Xunit.Sdk.XunitException>(() => Check(candidate => candidate.Token == likely[0]));
    }

    /// <summary>Each answer draws from its own random stream, whatever the drafts of the others.</summary>
    [Theory, InlineData("eagle"), InlineData("markov")]
    public void An_answer_of_a_batch_is_the_one_without_the_batch(string kind)
    {
        using var head = Head(kind);
        int[][] prompts = [.. s_prompts.Take(3).Select(prompt => prompt.Ids)];
        var options = new GenerationOptions { Temperature = 1, MaxTokens = 16, DraftLength = 3, ConfidenceThreshold = 0.3 };
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        var together = decoder.GenerateAll(prompts, options);
        for (var i = 0; i < prompts.Length; i++)
        {
            var alone = decoder.Generate(prompts[i], options with { Stream = i });
            Assert.Equal(alone.Tokens, together[i].Tokens);
            Assert.Equal(alone.Rounds.Select(round => round.Drafted), together[i].Rounds.Select(round => round.Drafted));
        }
    }

    [Fact]
    public void It_needs_a_chain_and_a_head_with_confidences()
    {
        using var without = EagleFixtures.Random(ShippedModels.Nano, new EagleOptions());
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, without);
        var options = new GenerationOptions { ConfidenceThreshold = 0.5 };
        Assert.Contains("no confidence output", Fault(() => decoder.Generate(s_prompts[0].Ids, options)), StringComparison.Ordinal);
        using var lookup = new SpeculativeDecoder(ShippedModels.Nano, new PromptLookup());
        Assert.Contains("no confidence output",
            Fault(() => lookup.Generate(s_prompts[0].Ids, options with { DraftLength = 2 })), StringComparison.Ordinal);
        Assert.Contains("cuts a chain", Fault((options with { Tree = new DynamicTree() }).Validate), StringComparison.Ordinal);
        foreach (var threshold in (double[])[-0.1, 1.1, double.NaN])
            Fault((options with { ConfidenceThreshold = threshold }).Validate);

        static string Fault(Action action)
        {
            var e = Assert.Throws<KoalaException>(action);
            Assert.Equal("ConfidenceThreshold", e.Option);
            return e.Message;
        }
    }

    /// <summary>A length is chosen with chains that are cut, and rounds are timed with them.</summary>
    [Fact]
    public void A_draft_length_is_chosen_with_the_cut()
    {
        using var head = Head("eagle");
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head);
        var answer = decoder.Generate(s_prompts[0].Ids, new GenerationOptions { MaxTokens = 12, ConfidenceThreshold = 0.3 });
        Assert.InRange(decoder.DraftLength!.Length, 1, 10);
        Assert.Equal(PlainDecoding.Answer(ShippedModels.Nano, s_prompts[0].Ids, 12), answer.Tokens);
    }

    private static Lab.Heads.DraftHead Head(string kind) => ConfidenceOutputTests.Random(kind switch
    {
        "eagle" => new EagleOptions { Confidence = true },
        "eagle-3" => new EagleOptions { Confidence = true, FusedFeatures = true, DraftVocabulary = 200 },
        "medusa" => new MedusaOptions { Confidence = true, Heads = 3 },
        _ => new MedusaOptions { Confidence = true, Heads = 3, MarkovRank = 4 },
    });

    /// <summary>A drafter with given confidences, by level and sequence.</summary>
    private sealed class Confident(float[][] confidences) : LevelDrafter
    {
        public int Levels { get; private set; }

        public override int MaxDraftLength => confidences.Length;

        public override int Batch => confidences[0].Length;

        public override void Extend(Tensor features, IReadOnlyList<int[]> tokens)
        {
        }

        public override Tensor First()
        {
            Levels = 1;
            return zeros(Batch, 4);
        }

        public override Tensor Next(IReadOnlyList<int[]> tokens, IReadOnlyList<int[]> parents)
        {
            Levels++;
            return zeros(Batch, 4);
        }

        public override float[] Confidences(bool sampled) => confidences[Levels - 1];
    }

    private sealed class Counting : ITokenSampler
    {
        public int Drawn { get; private set; }

        public IReadOnlyList<SampledToken[]> Sample(Tensor logits, int count)
        {
            Drawn += (int)logits.shape[0];
            return [.. Enumerable.Range(0, (int)logits.shape[0]).Select(_ => new[] { new SampledToken(1, null, null) })];
        }
    }

    /// <summary>Draws each round's candidates from given logits, and then drops some of them: what no cut may do.</summary>
    private sealed class Lookahead(Tensor logits, Func<Candidate, bool>? drop) : IDraftSource
    {
        public int MaxDraftLength => (int)logits.shape[0];

        public IReadOnlyList<int> FeatureLayers => [];

        public Drafter NewDrafter(Target target, int batch, int capacity) => new Dropping(logits, drop);

        private sealed class Dropping(Tensor logits, Func<Candidate, bool>? drop) : Drafter
        {
            public override int MaxDraftLength => (int)logits.shape[0];

            public override void Extend(Tensor features, IReadOnlyList<int[]> tokens)
            {
            }

            public override IReadOnlyList<Draft> Propose(DraftTree tree, ITokenSampler sampler)
            {
                var draft = Draft.Chain(sampler.Sample(logits.narrow(0, 0, tree.Depth), 1).Select(row => row[0]));
                return [drop is null ? draft : draft.Truncate(draft.Candidates.TakeWhile(candidate => !drop(candidate)).Count())];
            }
        }
    }
}
