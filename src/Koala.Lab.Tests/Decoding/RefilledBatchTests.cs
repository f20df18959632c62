using Koala.Lab.Decoding;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Heads;
using Koala.Lab.Targets;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Decoding;

/// <summary>Ten prompts of very different lengths are answered three at a time, and each gets the answer that it gets alone.</summary>
public sealed class RefilledBatchTests
{
    private const int Batch = 3;
    private const int Tokens = 28;

    private static readonly ChainTree s_chain = new(3);
    private static readonly DynamicTree s_tree = new() { Tokens = 12, Levels = 4, TopK = 3 };

    public static TheoryData<string, string> Sources
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (var target in (string[])["koala-nano", "koala-mini"])
                foreach (var source in (string[])["none", "prompt lookup", "draft model", "medusa-k1", "medusa-k2", "eagle-k1", "eagle-k2"])
                    data.Add(target, source);
            return data;
        }
    }

    [Theory, MemberData(nameof(Sources))]
    public void A_prompt_that_takes_the_place_of_an_answer_gets_its_own_answer(string name, string kind)
    {
        var target = ShippedModels.Of(name);
        var source = Source(target, kind);
        using var owned = source as IDisposable;
        var prompts = Prompts(target);
        // Stop texts end answers after different numbers of tokens, some with their first token.
        var plain = prompts.Select(prompt => PlainDecoding.Answer(target, prompt, Tokens)).ToArray();
        string After(int answer, int tokens) => target.Tokenizer.Decode([.. plain[answer].Skip(tokens).Take(1)]);
        var options = new GenerationOptions
        {
            MaxTokens = Tokens,
            Stop = [.. ((string[])[After(4, 0), After(1, 6), After(7, 11)]).Where(text => text.Trim().Length > 0)],
        };
        foreach (var tree in source is null or PromptLookup ? (DraftTree[])[s_chain] : [s_chain, s_tree])
        {
            using var decoder = new SpeculativeDecoder(target, source) { ChooseDraftLength = false };
            var pieces = prompts.Select(_ => new List<int>()).ToArray();
            var together = decoder.GenerateAll(
                prompts, options with { Tree = tree }, (b, chunk) => pieces[b].AddRange(chunk.Tokens), Batch);
            var alone = prompts.Select(prompt => decoder.Generate(prompt, options with { Tree = tree })).ToArray();
            Assert.True(together.Select(answer => answer.Tokens.Count).Distinct().Count() >= 3);
            for (var b = 0; b < prompts.Length; b++)
            {
                Assert.Equal(plain[b][..alone[b].Tokens.Count], together[b].Tokens);
                Assert.Equal((alone[b].Text, alone[b].FinishReason), (together[b].Text, together[b].FinishReason));
                Assert.Equal(together[b].Tokens, pieces[b]);
                // The drafter begins with the new prompt alone: what it proposes is what it proposes for one prompt.
                Assert.Equal(alone[b].Rounds.Select(round => (round.Drafted, round.Accepted)),
                    together[b].Rounds.Select(round => (round.Drafted, round.Accepted)));
            }
        }
    }

    [Theory, InlineData("none"), InlineData("draft model"), InlineData("medusa-k1"), InlineData("eagle-k2")]
    public void Sampled_answers_are_those_of_single_prompts(string kind)
    {
        var target = ShippedModels.Nano;
        var source = Source(target, kind);
        using var owned = source as IDisposable;
        using var decoder = new SpeculativeDecoder(target, source) { ChooseDraftLength = false };
        var prompts = Prompts(target);
        var options = new GenerationOptions { MaxTokens = Tokens, Temperature = 0.9, Seed = 5, Stream = 2 };
        var together = decoder.GenerateAll(prompts, options, batch: Batch);
        for (var b = 0; b < prompts.Length; b++)
            Assert.Equal(decoder.Generate(prompts[b], options with { Stream = options.Stream + b }).Tokens, together[b].Tokens);
    }

    [Fact]
    public void The_batch_is_full_as_long_as_prompts_wait()
    {
        var target = ShippedModels.Nano;
        var prompts = Prompts(target);
        var watching = new Watching();
        using var decoder = new SpeculativeDecoder(target, watching) { ChooseDraftLength = false };
        var answers = decoder.GenerateAll(prompts, new GenerationOptions { MaxTokens = Tokens, DraftLength = 1 }, batch: Batch);
        int[] lengths = [.. answers.Select(answer => answer.Rounds.Count)];
        // Each place answers one prompt after another, in the order of the prompts.
        var places = new int[Batch];
        foreach (var length in lengths) places[Array.IndexOf(places, places.Min())] += length;
        Assert.Equal(places.Max(), watching.Rounds);
        var inGroups = lengths.Chunk(Batch).Sum(group => group.Max());
        Assert.True(watching.Rounds < inGroups, $"{watching.Rounds} rounds instead of {inGroups}");
        // The drafter saw each prompt with its answer as one text, and forgot it before the next one.
        var texts = prompts.Zip(answers, (prompt, answer) => (int[])[.. prompt, .. answer.Tokens.SkipLast(1)]);
        Assert.Equal(texts.Where((_, b) => lengths[b] > 0),
            watching.Texts.OrderBy(text => Array.FindIndex(prompts, prompt => text.AsSpan().StartsWith(prompt))));
    }

    [Theory, InlineData("none"), InlineData("prompt lookup"), InlineData("draft model"), InlineData("medusa-k1"), InlineData("eagle-k1")]
    public void Memory_does_not_grow_from_prompt_to_prompt(string kind)
    {
        var target = ShippedModels.Nano;
        var source = Source(target, kind);
        using var owned = source as IDisposable;
        using var decoder = new SpeculativeDecoder(target, source) { ChooseDraftLength = false };
        var prompts = Prompts(target);
        IReadOnlyList<int>[] many = [.. Enumerable.Repeat(prompts, 3).SelectMany(once => once)];
        var live = DisposeScopeManager.Statistics.TensorStatistics;
        var counts = new List<long>();
        // The last answers run alone, so each of them ends in rounds like those of the answers before.
        decoder.GenerateAll(many, new GenerationOptions { MaxTokens = Tokens, DraftLength = source is null ? null : 3 }, (b, chunk) =>
        {
            if (b >= prompts.Length && chunk.Origins[^1] == TokenOrigin.Bonus) counts.Add(live.ThreadTotalLiveCount);
        }, Batch);
        Assert.True(counts.Count > 2 * Tokens);
        Assert.Equal(counts.Take(counts.Count / 2).Max(), counts.Skip(counts.Count / 2).Max());
    }

    // Short questions beside long ones. On koala-nano two of them leave little more room in the context than the answer needs.
    private static int[][] Prompts(Target target)
    {
        var context = Math.Min(target.Config.ContextLength, ShippedModels.Nano.Config.ContextLength);
        int[][] recorded = [.. Golden.Prompts(target.Name).Select(prompt => prompt.Ids)];
        int[] text = [.. recorded.SelectMany(ids => ids)];
        int[] Long(int length) => [.. Enumerable.Range(length, length).Select(i => text[i % text.Length])];
        return
        [
            recorded[0], Long(context - 40), recorded[1], recorded[2], Long(context / 2),
            recorded[3], Long(context - 60), [recorded[4][0]], recorded[4], Long(context / 3),
        ];
    }

    private static IDraftSource? Source(Target target, string kind) => kind switch
    {
        "none" => null,
        "prompt lookup" => new PromptLookup(),
        "draft model" => new DraftModel(target, target),
        _ => DraftHead.Load(TestFiles.At("checkpoints", $"{target.Name}-{kind}"), target),
    };

    // Drafts nothing; keeps the texts that it was extended with.
    private sealed class Watching : IDraftSource
    {
        public int MaxDraftLength => 1;

        public IReadOnlyList<int> FeatureLayers => [];

        public int Rounds { get; private set; }

        public List<int[]> Texts { get; } = [];

        public Drafter NewDrafter(Target target, int batch, int capacity) => new Watcher(this, batch);

        private sealed class Watcher(Watching source, int batch) : Drafter
        {
            private readonly List<int>[] _texts = [.. Enumerable.Range(0, batch).Select(_ => new List<int>())];

            public override int MaxDraftLength => 1;

            public override void Extend(Tensor features, IReadOnlyList<int[]> tokens)
            {
                Assert.Equal((batch, tokens.Max(of => of.Length) - 1), ((int)features.shape[0], (int)features.shape[1]));
                for (var b = 0; b < batch; b++)
                {
                    if (tokens[b].Length > 0 && _texts[b].Count > 0) Assert.Equal(_texts[b][^1], tokens[b][0]);
                    _texts[b].AddRange(tokens[b].Skip(_texts[b].Count > 0 ? 1 : 0));
                }
            }

            public override void Forget(int sequence)
            {
                if (_texts[sequence].Count > 0) source.Texts.Add([.. _texts[sequence]]);
                _texts[sequence].Clear();
            }

            public override IReadOnlyList<Draft> Propose(DraftTree tree, ITokenSampler sampler)
            {
                source.Rounds++;
                return [.. Enumerable.Repeat(Draft.Empty, batch)];
            }
        }
    }
}
