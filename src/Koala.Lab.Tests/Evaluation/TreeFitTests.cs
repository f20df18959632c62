using Koala.Lab.Data;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Cost;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Evaluation;
using Koala.Lab.Evaluation.TreeFitting;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Tests.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Evaluation;

public sealed class TreeFitTests
{
    private static readonly Prompt[] s_prompts = [.. Prompts.Load(TestFiles.At("data", "mt-bench.jsonl"), 20)];
    private static readonly Lazy<DraftHead> s_medusa = new(() => TinyModels.Train(TinyModels.Options with { Steps = 60 }));
    private static readonly Lazy<DraftHead> s_eagle =
        new(() => TinyModels.Train(TinyModels.Options with { Steps = 60 }, new EagleOptions { DraftVocabulary = 300 }));
    private static readonly Lazy<Generation[]> s_answers = new(Answers);

    public static TheoryData<string> Heads => ["medusa", "eagle"];

    /// <summary>
    /// A tree accepts in decoding what was counted along the answers, round by round; so their means are equal too.
    /// </summary>
    [Theory, MemberData(nameof(Heads))]
    public void Decoding_with_a_tree_accepts_in_every_round_what_was_counted_there(string name)
    {
        var (head, answers) = (Head(name), s_answers.Value);
        var paths = RankPaths.Collect(ShippedModels.Nano, head, answers);
        StaticTree[] trees = [new("grown", TreeGrowth.Grow(paths, 25, paths.Depth)),
            new("shallow", TreeGrowth.Grow(paths, 9, 2)), new("chain", [[0], [0, 0], [0, 0, 0]])];
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        foreach (var tree in trees)
        {
            var counted = new List<Round>();
            for (var i = 0; i < answers.Length; i++)
            {
                var answer = decoder.Generate(answers[i].PromptTokens, new GenerationOptions { MaxTokens = 60, Tree = tree });
                Assert.Equal(answers[i].Tokens, answer.Tokens);
                var position = 0;
                foreach (var round in answer.Rounds)
                {
                    if (position >= paths.Answers[i].Count) break;   // what follows here is not known completely
                    var path = paths.Answers[i][position];
                    bool IsNode(int depth) => tree.Paths.Any(p => p.SequenceEqual(path.Take(depth)));
                    Assert.Equal(Enumerable.Range(1, path.Count).TakeWhile(IsNode).Count(), round.Accepted);
                    counted.Add(round);
                    position += round.Committed;
                }
            }
            Assert.True(counted.Count > 100);
            Assert.Contains(counted, round => round.Accepted >= (tree == trees[0] ? 2 : 1));
            Assert.Equal(new DecodingTrace(counted).AcceptanceLength, paths.AcceptanceLength(tree), 12);
        }
        // A tree gains more than its first chain, and more nodes gain more.
        Assert.Equal(trees.Select(paths.AcceptanceLength).OrderDescending().First(), paths.AcceptanceLength(trees[0]));
    }

    /// <summary>
    /// Medusa's head n predicts the token n + 2 positions ahead, whatever was drafted before, so one pass over the text
    /// ranks all tokens.
    /// </summary>
    [Fact]
    public void Ranks_of_a_medusa_head_are_those_of_a_pass_over_the_text()
    {
        // The head is trained outside the dispose scope and with gradients, whichever test runs first.
        var head = (MedusaHead)s_medusa.Value;
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var paths = RankPaths.Collect(ShippedModels.Nano, head, s_answers.Value);
        Assert.Equal(3, paths.Depth);
        for (var b = 0; b < 3; b++)
        {
            var answer = s_answers.Value[b];
            int[] text = [.. answer.PromptTokens, .. answer.Tokens];
            using var cache = ShippedModels.Nano.NewCache();
            var logits = head.Logits(ShippedModels.Nano.Append(cache, text), ShippedModels.Nano);
            Assert.Equal(answer.Tokens.Count - 3, paths.Answers[b].Count);
            for (var position = 0; position < paths.Answers[b].Count; position++)
            {
                var root = answer.PromptTokens.Count + position;
                var ranks = Enumerable.Range(0, 3)
                    .Select(n =>
                        (int)(logits[n, root - 1] > logits[n, root - 1, text[root + 1 + n]]).sum().item<long>());
                Assert.Equal(ranks.TakeWhile(rank => rank < RankPaths.Ranks), paths.Answers[b][position]);
            }
        }
    }

    [Fact]
    public void A_fit_by_speed_reports_a_tree_that_beats_or_equals_the_best_chain()
    {
        var report = TreeFit.Run(ShippedModels.Nano, s_medusa.Value, "medusa", s_prompts,
            new TreeFitOptions { Limits = DisturbanceLimits.None, Nodes = 12, MaxTokens = 40 });
        Assert.Equal(("koala-nano", "medusa", "cpu", "fp32", TreeFitBy.Speed, 20, 0),
            (report.Target, report.Head, report.Device, report.Dtype, report.By, report.Prompts, report.Skipped));
        Assert.InRange(report.Tree!.Nodes, 1, 12);
        Assert.InRange(report.Tree!.Depth, 1, 3);
        Assert.Equal((report.Tree!.Nodes, report.Tree!.Depth), (report.Shape!.Nodes, report.Shape!.Depth));
        Assert.True(report.Tree!.TokensPerSecond >= report.Chain!.TokensPerSecond);
        Assert.All(report.ByNodes, tree => Assert.True(tree.TokensPerSecond <= report.Tree!.TokensPerSecond));
        Assert.Equal([1, 3, 7], report.ByNodes.Select(tree => tree.Nodes));
        Assert.Equal(report.Chain!.Depth, report.Chain!.Nodes);
        Assert.True(report.BaselineTokensPerSecond > 0);
        Assert.Contains("predicted speed", report.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_fit_by_acceptance_has_exactly_the_nodes_and_more_of_them_accept_more()
    {
        var before = 0.0;
        foreach (var nodes in new[] { 1, 4, 16, 40 })
        {
            var report = TreeFit.Run(ShippedModels.Nano, s_medusa.Value, "medusa", s_prompts,
                new TreeFitOptions { Limits = DisturbanceLimits.None, Nodes = nodes, By = TreeFitBy.Acceptance, MaxTokens = 60 });
            Assert.Equal((nodes, nodes), (report.Tree!.Nodes, report.Paths.Count));
            Assert.True(report.Tree!.AcceptanceLength > before, $"{nodes} nodes: {report.Tree!.AcceptanceLength} after {before}");
            before = report.Tree!.AcceptanceLength;
        }
    }

    [Fact]
    public void A_model_that_drafts_for_itself_gets_a_chain()
    {
        using var model = new DraftModel(ShippedModels.Nano, ShippedModels.Nano);
        var paths = RankPaths.Collect(ShippedModels.Nano, model, s_answers.Value);
        Assert.Equal(RankPaths.MostDepth, paths.Depth);
        Assert.All(paths.Answers.SelectMany(answer => answer), path => Assert.Equal(new int[8], path));
        Assert.Equal(Enumerable.Range(1, 8), TreeGrowth.Grow(paths, 64, 8).Select(path => path.Count));
        Assert.Equal(9, paths.AcceptanceLength(new StaticTree("chain", TreeGrowth.Grow(paths, 64, 8))));
    }

    [Fact]
    public void Input_that_cannot_be_fitted_is_refused_in_one_line()
    {
        string Fault(IDraftSource source, TreeFitOptions options, params Prompt[] prompts) =>
            Assert.Throws<KoalaException>(() => TreeFit.Run(ShippedModels.Nano, source, "head", prompts, options)).Message;
        Assert.Contains("no tree can be fitted", Fault(new PromptLookup(), new TreeFitOptions(), s_prompts[0]),
            StringComparison.Ordinal);
        Assert.Contains("nodes: is 0", Fault(s_medusa.Value, new TreeFitOptions { Nodes = 0 }, s_prompts[0]),
            StringComparison.Ordinal);
        Assert.Contains("nodes: is 257", Fault(s_medusa.Value, new TreeFitOptions { Nodes = 257 }, s_prompts[0]),
            StringComparison.Ordinal);
        Assert.Contains("maxTokens: is 0", Fault(s_medusa.Value, new TreeFitOptions { MaxTokens = 0 }, s_prompts[0]),
            StringComparison.Ordinal);
        Assert.Contains("raise maxTokens", Fault(s_medusa.Value, new TreeFitOptions { MaxTokens = 2 }, s_prompts[0]),
            StringComparison.Ordinal);
        Assert.Contains("paths were ever correct",
            Fault(s_medusa.Value, new TreeFitOptions { Nodes = 200, By = TreeFitBy.Acceptance, MaxTokens = 10 },
                s_prompts[0]),
            StringComparison.Ordinal);
        Assert.Contains("1 of 1 skipped",
            Fault(s_medusa.Value, new TreeFitOptions(),
                s_prompts[0] with { Turns = [string.Concat(Enumerable.Repeat("too long ", 2000))] }),
            StringComparison.Ordinal);
    }

    [Fact]
    public void No_tensors_are_leaked_and_a_cancelled_fit_stops()
    {
        var live = DisposeScopeManager.Statistics.TensorStatistics;
        RankPaths.Collect(ShippedModels.Nano, s_medusa.Value, s_answers.Value);
        var before = live.ThreadTotalLiveCount;
        RankPaths.Collect(ShippedModels.Nano, s_medusa.Value, s_answers.Value);
        Assert.Equal(before, live.ThreadTotalLiveCount);
        using var cancel = new CancellationTokenSource();
        cancel.Cancel();
        Assert.ThrowsAny<OperationCanceledException>(() =>
            RankPaths.Collect(ShippedModels.Nano, s_medusa.Value, s_answers.Value, cancel.Token));
    }

    private static DraftHead Head(string name) => (name == "medusa" ? s_medusa : s_eagle).Value;

    private static Generation[] Answers()
    {
        using var baseline = new SpeculativeDecoder(ShippedModels.Nano);
        return [.. s_prompts.Select(prompt =>
            baseline.Generate(new Dialogue(ShippedModels.Nano, prompt, allTurns: false).Next()!,
                new GenerationOptions { MaxTokens = 60 }))];
    }
}
