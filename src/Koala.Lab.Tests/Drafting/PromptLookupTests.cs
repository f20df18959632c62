using System.Diagnostics;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Targets;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Drafting;

public sealed class PromptLookupTests
{
    [Theory]
    [InlineData(new[] { 1, 2, 3, 4, 9, 2, 3 }, 3, new[] { 4, 9, 2 })]
    // The longest match counts, not the most recent one of fewer tokens.
    [InlineData(new[] { 1, 2, 3, 7, 5, 3, 8, 1, 2, 3 }, 2, new[] { 7, 5 })]
    // Of equally long matches the most recent one counts.
    [InlineData(new[] { 2, 3, 5, 2, 3, 6, 2, 3 }, 1, new[] { 6 })]
    // The draft continues a repeating text.
    [InlineData(new[] { 8, 4, 4, 4 }, 4, new[] { 4, 4, 4, 4 })]
    [InlineData(new[] { 1, 2, 1, 2 }, 5, new[] { 1, 2, 1, 2, 1 })]
    [InlineData(new[] { 1, 2, 3 }, 5, new int[0])]
    [InlineData(new[] { 1 }, 5, new int[0])]
    public void The_earlier_continuation_is_proposed(int[] text, int length, int[] expected)
    {
        using var drafter = Drafter([text]);
        Assert.Equal(expected, Tokens(drafter.Propose(new ChainTree(length), Unused.Chooser)[0]));
    }

    [Fact]
    public void It_finds_the_same_as_a_plain_search()
    {
        var random = new Random(5);
        List<int> text = [0];
        using var drafter = Drafter([[.. text]]);
        for (var i = 0; i < 400; i++)
        {
            int[] next = [.. Enumerable.Range(0, 1 + random.Next(3)).Select(_ => random.Next(5))];
            drafter.Extend(Unused.Features, [[text[^1], .. next]]);
            text.AddRange(next);
            Assert.Equal(Search(text, 4), Tokens(drafter.Propose(new ChainTree(4), Unused.Chooser)[0]));
        }
    }

    [Fact]
    public void Sequences_are_looked_up_each_in_its_own_text()
    {
        using var drafter = Drafter([[1, 2, 1], [3, 4, 5]]);
        drafter.Extend(Unused.Features, [[], [5, 3]]);
        var drafts = drafter.Propose(new ChainTree(1), Unused.Chooser);
        Assert.Equal([2], Tokens(drafts[0]));
        Assert.Equal([4], Tokens(drafts[1]));
    }

    [Fact]
    public void Answers_of_nano_and_mini_stay_the_same()
    {
        foreach (var target in (Target[])[ShippedModels.Nano, ShippedModels.Mini])
        {
            foreach (var prompt in Golden.Prompts(target.Name))
                DrafterDriver.AssertLossless(target, new PromptLookup(), prompt.Ids, 24);
            DrafterDriver.AssertLossless(target, new PromptLookup(), [.. Golden.Prompts(target.Name).Select(p => p.Ids)], 24);
        }
    }

    [Fact]
    public void A_text_that_repeats_is_accepted_at_length()
    {
        var verse = ShippedModels.Mini.Tokenizer.Encode("The koala sat in the tree. The bird sat on the koala. The " +
            "tree stood in the rain. ");
        var answer = DrafterDriver.AssertLossless(ShippedModels.Mini, new PromptLookup(),
            [.. Enumerable.Repeat(verse, 6).SelectMany(v => v).SkipLast(verse.Count / 2)], 48);
        Assert.True(new DecodingTrace(answer.Rounds).AcceptanceLength > 3, new DecodingTrace(answer.Rounds).ToString());
        Assert.All(answer.Rounds, round => Assert.InRange(round.Drafted, 0, 10));
    }

    [Fact]
    public void Sampled_answers_can_be_drafted_and_traced()
    {
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, new PromptLookup()) { ChooseDraftLength = false };
        var answer = decoder.Generate(Golden.Prompts("koala-nano")[3].Ids,
            new GenerationOptions { MaxTokens = 40, Temperature = 0.7, FullTrace = true });
        var candidates = answer.Rounds.SelectMany(round => round.Candidates!).ToArray();
        Assert.NotEmpty(candidates);
        Assert.All(candidates, candidate => Assert.Equal(1, candidate.Q));
    }

    /// <summary>The time does not depend on the length of the text, because lookup does not search through it.</summary>
    [Fact]
    public void A_round_takes_microseconds()
    {
        var random = new Random(1);
        using var drafter = Drafter([[.. Enumerable.Range(0, 200_000).Select(_ => random.Next(50))]]);
        // The best of several times counts: a search would take 100 µs or more per round, this takes about 2 µs.
        var best = Enumerable.Range(0, 10).Min(_ =>
        {
            var clock = Stopwatch.StartNew();
            for (var i = 0; i < 200; i++)
            {
                drafter.Extend(Unused.Features, [[0, random.Next(50), random.Next(50)]]);
                drafter.Propose(new ChainTree(10), Unused.Chooser);
            }
            return clock.Elapsed.TotalMilliseconds / 200;
        });
        Assert.InRange(best, 0, 0.05);
    }

    [Fact]
    public void No_tensors_are_leaked()
    {
        var live = DisposeScopeManager.Statistics.TensorStatistics;
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, new PromptLookup()) { ChooseDraftLength = false };
        decoder.Generate(Golden.Prompts("koala-nano")[0].Ids, new GenerationOptions { MaxTokens = 100 });
        var before = live.ThreadTotalLiveCount;
        decoder.Generate(Golden.Prompts("koala-nano")[0].Ids, new GenerationOptions { MaxTokens = 100 });
        Assert.Equal(before, live.ThreadTotalLiveCount);
    }

    [Fact]
    public void Options_out_of_range_are_refused()
    {
        foreach (var lookup in (PromptLookup[])[new() { Shortest = 0 }, new() { Shortest = 3, Longest = 2 },
            new() { MaxDraftLength = 0 }])
            Assert.Equal("prompt-lookup",
                Assert.Throws<KoalaException>(() => lookup.NewDrafter(ShippedModels.Nano, 1, 10)).Where);
    }

    private static Drafter Drafter(IReadOnlyList<int[]> texts)
    {
        var drafter = new PromptLookup().NewDrafter(ShippedModels.Nano, texts.Count, 1000);
        drafter.Extend(Unused.Features, texts);
        return drafter;
    }

    private static int[] Tokens(Draft draft) => [.. draft.Candidates.Select(c => c.Token)];

    // The longest suffix that occurred before, most recent first; a copy that reaches the end continues with what it
    // copied.
    private static int[] Search(List<int> text, int count)
    {
        for (var n = Math.Min(3, text.Count); n >= 1; n--)
            for (var end = text.Count - 1; end >= n; end--)
                if (text.GetRange(end - n, n).SequenceEqual(text.TakeLast(n)))
                {
                    List<int> all = [.. text];
                    for (var i = 0; i < count; i++) all.Add(all[end + i]);
                    return [.. all.TakeLast(count)];
                }
        return [];
    }

    // The drafter receives this and does not use it.
    private static class Unused
    {
        public static Tensor Features => null!;

        public static ITokenSampler Chooser => null!;
    }
}
