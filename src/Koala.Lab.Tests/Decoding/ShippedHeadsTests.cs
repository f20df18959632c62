using Koala.Lab.Data;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Text.Chat;
using Koala.Lab.Text.Tokenizers;

namespace Koala.Lab.Tests.Decoding;

/// <summary>
/// The heads that ship with the repository. They are trained, so long runs of candidates are accepted. The prompts are
/// divided among the shapes: eight in `dotnet test`, a hundred in docs/thorough.sh.
/// </summary>
[Trait(PromptSample.Category, PromptSample.Sampled)]
public sealed class ShippedHeadsTests
{
    private const int Tokens = 40;

    public static TheoryData<string> Heads =>
        [.. Directory.GetDirectories(TestFiles.At("checkpoints"))
            .Where(HeadFolder.IsHead)
            .Select(path => Path.GetFileName(path)!)
            .Order(StringComparer.Ordinal)];

    [Fact]
    public void There_are_heads_of_both_kinds_and_one_and_two_layers() =>
        Assert.Superset(
            new HashSet<string>
            {
                "koala-nano-eagle-k1", "koala-nano-eagle-k2", "koala-nano-medusa-k1", "koala-nano-medusa-k2",
                "koala-mini-eagle-k1", "koala-mini-eagle-k2", "koala-mini-medusa-k1", "koala-mini-medusa-k2",
            },
            Directory.GetDirectories(TestFiles.At("checkpoints")).Select(path => Path.GetFileName(path)!).ToHashSet());

    [Theory, MemberData(nameof(Heads))]
    public void A_shipped_head_changes_nothing_whatever_it_drafts(string name)
    {
        var target = name.StartsWith("koala-nano", StringComparison.Ordinal) ? ShippedModels.Nano : ShippedModels.Mini;
        using var head = DraftHead.Load(ShippedModels.Folder(name), target);
        using var decoder = new SpeculativeDecoder(target, head) { ChooseDraftLength = false };
        DraftTree?[] trees = [null, StaticTree.Find(head.MaxDraftLength >= 5 ? "eagle-1" : "mc_sim_7b_63"),
            new DynamicTree { Tokens = 16, TopK = 4 }];
        var accepted = 0;
        var prompts = Questions(target.Tokenizer, PromptSample.Count(100, 12));
        for (var i = 0; i < prompts.Count; i++)
        {
            // Each shape gets a quarter of the prompts; the fourth quarter is decoded in batches.
            if (i % 4 == 3) continue;
            var options = new GenerationOptions { MaxTokens = Tokens, Tree = trees[i % 4] };
            Check(target, prompts[i], decoder.Generate(prompts[i], options), ref accepted);
        }
        var batchOptions = new GenerationOptions { MaxTokens = Tokens, DraftLength = Math.Min(6, head.MaxDraftLength) };
        foreach (var group in prompts.Where((_, i) => i % 4 == 3).Chunk(5))
            foreach (var (prompt, answer) in group.Zip(decoder.GenerateAll(group, batchOptions)))
                Check(target, prompt, answer, ref accepted);
        Assert.True(accepted > prompts.Count * Tokens / 16, $"{accepted} candidates were accepted in all");
    }

    /// <summary>
    /// On the target's own continuations, which are like their training data, a second layer accepts more tokens per
    /// round.
    /// </summary>
    [Theory]
    [InlineData("koala-nano", 60, 1.5)]
    [InlineData("koala-mini", 20, 2.5)]
    public void A_second_layer_of_an_EAGLE_head_gives_longer_runs(string targetName, int questions, double least)
    {
        var target = ShippedModels.Of(targetName);
        double AcceptanceLength(string name)
        {
            using var head = DraftHead.Load(ShippedModels.Folder(name), target);
            Assert.IsType<EagleHead>(head);
            using var decoder = new SpeculativeDecoder(target, head) { ChooseDraftLength = false };
            var options = new GenerationOptions { MaxTokens = 64, DraftLength = 6 };
            var answers = Short(target.Tokenizer, AllQuestions).Take(questions).Chunk(20)
                .SelectMany(group => decoder.GenerateAll(group, options));
            return new DecodingTrace([.. answers.SelectMany(answer => answer.Rounds)]).AcceptanceLength;
        }
        var (one, two) = (AcceptanceLength($"{targetName}-eagle-k1"), AcceptanceLength($"{targetName}-eagle-k2"));
        Assert.True(two > one && one > least, $"K = 1 reaches {one:F2}, K = 2 {two:F2}");
    }

    [Fact]
    public void All_heads_together_stay_below_8_MB() =>
        Assert.InRange(Heads.Sum(row =>
            new DirectoryInfo(ShippedModels.Folder(row.Data)).GetFiles().Sum(file => file.Length)),
            1, 8_000_000);

    private static IReadOnlyList<Prompt> AllQuestions => Prompts.Load(TestFiles.At("data", "gsm8k.jsonl"));

    // The questions are taken from the whole file, three times as many as needed, since some are too long.
    private static IReadOnlyList<int[]> Questions(Tokenizer tokenizer, int count) =>
        PromptSample.Spread([.. Short(tokenizer, PromptSample.Spread(AllQuestions, 3 * count))], count);

    private static IEnumerable<int[]> Short(Tokenizer tokenizer, IEnumerable<Prompt> questions) =>
        questions.Select(p => tokenizer.EncodeChat([new Message("user", p.Turns[0])]).ToArray()).Where(p => p.Length < 300);

    private static void Check(Lab.Targets.Target target, int[] prompt, Generation answer, ref int accepted)
    {
        var expected = PlainDecoding.Answer(target, prompt, Tokens);
        Assert.Equal(expected, answer.Tokens);
        accepted += answer.Rounds.Sum(r => r.Accepted);
    }
}
