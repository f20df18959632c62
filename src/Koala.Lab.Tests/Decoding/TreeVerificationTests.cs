using Koala.Lab.Decoding;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Trees;
using Koala.Lab.Tests.Heads.Trees;
using MathNet.Numerics.Distributions;
using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Decoding;

/// <summary>
/// Two consecutive tokens of a toy target of six tokens, drawn 200,000 times through trees as the shapes grow them (longer chains: <see cref="SamplingAcceptanceTests"/>), have exactly the target's
/// distribution, at temperature 1 and at 0.7 with top-p; rules known to be wrong fail the same test.
/// </summary>
public sealed class TreeVerificationTests
{
    private const int Size = 6, Draws = 200_000;
    private const double Significance = 0.001;

    private static readonly float[][] s_target = Table(5), s_head = Table(9);

    /// <summary>A rule: the target's rows, the draft, the generator.</summary>
    private delegate Verdict Rule(float[][] p, Draft draft, RandomSource random);

    private static readonly StaticShape s_tree = new("toy", [[0], [1], [2], [0, 0], [0, 1], [1, 0], [1, 1], [0, 0, 0]]);

    public static TheoryData<string, bool> Schemes()
    {
        var data = new TheoryData<string, bool>();
        foreach (var scheme in (string[])["one drawn candidate", "drawn tree", "chosen tree", "dynamic tree"])
            foreach (var tempered in (bool[])[false, true]) data.Add(scheme, tempered);
        return data;
    }

    [Theory]
    [MemberData(nameof(Schemes))]
    public void A_scheme_leaves_the_distribution_as_it_is(string scheme, bool tempered) =>
        Assert.True(Probability(Koala, scheme, Options(tempered)) > Significance);

    [Theory]
    [MemberData(nameof(Schemes))]
    public void A_bonus_from_the_row_before_the_last_accepted_is_found_out(string scheme, bool tempered)
    {
        // Wrong only where something was accepted: the bonus token is drawn from the parent's row.
        static Verdict Wrong(float[][] p, Draft draft, RandomSource random)
        {
            var verdict = Koala(p, draft, random);
            if (verdict.Accepted == 0 || draft.Candidates.Any(c => c.Parent == verdict.Path[^1])) return verdict;
            return verdict with { Bonus = Draw.From(p[draft.Candidates[verdict.Path[^1]].Parent + 1], random) };
        }
        Assert.True(Probability(Wrong, scheme, Options(tempered)) < Significance);
    }

    [Theory]
    [InlineData("drawn tree", true)]
    [InlineData("drawn tree", false)]
    public void A_q_that_keeps_what_was_rejected_is_found_out(string scheme, bool tempered) =>
        Assert.True(Probability((p, draft, random) => Judge(p, draft, random, without: (q, _) => q, residual: Left), scheme, Options(tempered)) < Significance);

    [Theory]
    [InlineData("one drawn candidate", true)]
    [InlineData("drawn tree", false)]
    [InlineData("chosen tree", true)]
    [InlineData("chosen tree", false)]
    [InlineData("dynamic tree", false)]
    public void A_bonus_that_forgets_the_rejected_is_found_out(string scheme, bool tempered) =>
        Assert.True(Probability((p, draft, random) => Judge(p, draft, random, Without, residual: (row, _, _) => row), scheme, Options(tempered)) < Significance);

    [Fact]
    public void A_residual_that_is_not_normalised_for_the_next_sibling_is_found_out() =>
        Assert.True(Probability((p, draft, random) => Judge(p, draft, random, Without, Left, normalise: false), "drawn tree", Options(false)) < Significance);

    [Fact]
    public void A_raw_q_beside_tempered_candidates_is_found_out() =>
        // The candidates come from the tempered and cut q; the rule divides by the plain one.
        Assert.True(Probability((p, draft, random) => Judge(p, Raw(draft), random, Without, Left), "drawn tree", Options(true)) < Significance);

    [Fact]
    public void Chosen_candidates_judged_as_if_drawn_are_found_out() =>
        Assert.True(Probability((p, draft, random) => Judge(p, Raw(draft), random, Without, Left), "dynamic tree", Options(false)) < Significance);

    /// <summary>The test's own rule is right where it is not told to be wrong.</summary>
    [Theory]
    [MemberData(nameof(Schemes))]
    public void The_rule_that_the_wrong_ones_are_made_from_passes(string scheme, bool tempered) =>
        Assert.True(Probability((p, draft, random) => Judge(p, draft, random, Without, Left), scheme, Options(tempered)) > Significance);

    [Fact]
    public void A_chosen_tree_accepts_as_often_as_p_lies_on_its_first_level()
    {
        var draft = new Draft([new(1, -1, null, null), new(4, -1, null, null)]);
        var (random, accepted) = (Draw.Source(3, 0), 0);
        for (var i = 0; i < Draws; i++) accepted += Koala([s_target[0], s_target[1], s_target[4]], draft, random).Accepted;
        double expected = s_target[0][1] + s_target[0][4];
        var deviation = Math.Sqrt(expected * (1 - expected) / Draws);
        Assert.InRange((double)accepted / Draws, expected - 5 * deviation, expected + 5 * deviation);
    }

    [Fact]
    public void A_target_that_is_certain_is_followed_down_the_tree_and_never_gives_another_token()
    {
        float[] certain = [0, 0, 1, 0, 0, 0];
        var draft = new Draft([new(0, -1, null, null), new(2, -1, null, null), new(2, 0, null, null), new(2, 1, null, null)]);
        var verdict = Koala([certain, certain, certain, certain, certain], draft, Draw.Source(0, 0));
        Assert.Equal([1, 3], verdict.Path);
        Assert.Equal(2, verdict.Bonus);
    }

    [Fact]
    public void Greedy_goes_down_the_tree_along_the_targets_best_tokens()
    {
        var draft = new Draft([new(1, -1, null, null), new(2, -1, null, null), new(3, 0, null, null), new(3, 1, null, null), new(5, 3, null, null)]);
        var greedy = Acceptance.For(new GenerationOptions());
        Assert.Equal([1, 3], greedy.Judge(new Scores([2, 0, 3, 0, 4, 0], null), draft, Draw.Source(0, 0)).Path);
        Assert.Equal(4, greedy.Judge(new Scores([2, 0, 3, 0, 4, 0], null), draft, Draw.Source(0, 0)).Bonus);
        Assert.Empty(greedy.Judge(new Scores([5, 0, 3, 0, 4, 0], null), draft, Draw.Source(0, 0)).Path);
    }

    [Fact]
    public void Typical_acceptance_keeps_the_longest_path_of_typical_tokens()
    {
        float[] sure = [0.02f, 0.9f, 0.08f, 0, 0, 0], open = [0.3f, 0.3f, 0.2f, 0.1f, 0.05f, 0.05f];
        // Entropy of open: 1.55; the bar is min(0.09, 0.3·exp(-1.55)) = 0.064. Of sure: 0.09.
        var draft = new Draft([new(2, -1, null, null), new(1, -1, null, null), new(0, 0, null, null), new(3, 1, null, null), new(4, 3, null, null)]);
        var typical = Acceptance.For(new GenerationOptions { Temperature = 1, Acceptance = AcceptanceRule.Typical });
        // Root sure: 2 (0.08) is below 0.09, so nothing under it counts; 1 passes, then 3 (0.1 > 0.064), then not 4 (0.05).
        var verdict = typical.Judge(new Scores(null, [sure, open, open, open, open, open]), draft, Draw.Source(0, 0));
        Assert.Equal([1, 3], verdict.Path);
        // Root open: 2 (0.2) and 1 (0.3) pass; under 2 0 passes, under 1 3: both paths have two, the first one stays.
        Assert.Equal([0, 2], typical.Judge(new Scores(null, [open, open, open, open, open, open]), draft, Draw.Source(0, 0)).Path);
    }

    private static GenerationOptions Options(bool tempered) => tempered ? new GenerationOptions { Temperature = 0.7, TopP = 0.9 } : new GenerationOptions { Temperature = 1 };

    private static Verdict Koala(float[][] p, Draft draft, RandomSource random) =>
        Acceptance.For(new GenerationOptions { Temperature = 1 }).Judge(new Scores(null, p), draft, random);

    // The multi-round rule with its places open: what q becomes after a rejection, and what p does.
    private static Verdict Judge(float[][] p, Draft draft, RandomSource random, Func<float[], int, float[]> without, Func<float[], float[], int, float[]> residual, bool normalise = true)
    {
        var path = new List<int>();
        var node = -1;
        while (true)
        {
            var row = p[node + 1];
            float[]? q = null;
            int? kept = null;
            foreach (var child in Enumerable.Range(0, draft.Candidates.Count).Where(i => draft.Candidates[i].Parent == node))
            {
                var (token, distribution) = (draft.Candidates[child].Token, draft.Candidates[child].Distribution);
                q = distribution is null ? [.. Enumerable.Range(0, row.Length).Select(i => i == token ? 1f : 0)] : q ?? distribution;
                if (random.NextDouble() * q[token] < row[token])
                {
                    kept = child;
                    break;
                }
                row = residual(row, q, token);
                if (normalise) row = Normal(row);
                if (distribution is not null) q = Normal(without(q, token));
            }
            if (kept is null) return new Verdict(path, Draw.From(row, random));
            path.Add(kept.Value);
            node = kept.Value;
        }
    }

    private static float[] Left(float[] p, float[] q, int token)
    {
        float[] left = [.. p.Zip(q, (a, b) => Math.Max(0, a - b))];
        return left.Sum() > 0 ? left : p;
    }

    private static float[] Without(float[] q, int token)
    {
        float[] left = [.. q.Select((x, i) => i == token ? 0 : x)];
        return left.Sum() > 0 ? left : q;
    }

    // The draft with the head's plain distribution of its first level in place of what was drawn from.
    private static Draft Raw(Draft draft) => new([.. draft.Candidates.Select(c => c with { Distribution = s_head[c.Parent < 0 ? Root(draft) : draft.Candidates[c.Parent].Token] })]);

    [ThreadStatic]
    private static int s_root;

    private static int Root(Draft _) => s_root;

    // Of a chi-square test of two tokens against p: how likely a deviation as large as this is. Drafts are grown by the shapes themselves, a number of
    // times for each root, and then used in turn: growing one takes tensors, and 200,000 of them would take minutes.
    private static double Probability(Rule rule, string scheme, GenerationOptions options)
    {
        using var scope = NewDisposeScope();
        var p = Distributions.Of(Logits(s_target), options);
        var random = Draw.Source(12, 0);
        var drafts = new DraftSupply(scheme, options, random);
        var counts = new long[Size * Size];
        for (var n = 0; n < Draws; n++)
        {
            var tokens = new List<int> { 0 };
            while (tokens.Count < 3)
            {
                s_root = tokens[^1];
                var draft = drafts.After(tokens[^1]);
                var verdict = rule([p[tokens[^1]], .. draft.Candidates.Select(c => p[c.Token])], draft, random);
                tokens.AddRange([.. verdict.Path.Select(i => draft.Candidates[i].Token), verdict.Bonus]);
            }
            counts[tokens[1] * Size + tokens[2]]++;
        }
        var (sum, cells) = (0.0, 0);
        for (var i = 0; i < counts.Length; i++)
        {
            var expected = (double)p[0][i / Size] * p[i / Size][i % Size] * Draws;
            if (expected == 0 && counts[i] > 0) return 0;
            if (expected == 0) continue;
            sum += (counts[i] - expected) * (counts[i] - expected) / expected;
            cells++;
        }
        return 1 - ChiSquared.CDF(cells - 1, sum);
    }

    private static Tensor Logits(float[][] table) => tensor(table.SelectMany(row => row).Select(x => MathF.Log(x)).ToArray()).view(Size, Size);

    private static float[][] Table(int seed)
    {
        var random = Draw.Source(seed, 0);
        return [.. Enumerable.Range(0, Size).Select(_ => Normal([.. Enumerable.Range(0, Size).Select(_ => (float)(0.05 + random.NextDouble() * random.NextDouble()))]))];
    }

    private static float[] Normal(float[] weights)
    {
        var sum = weights.Sum();
        return [.. weights.Select(w => w / sum)];
    }

    /// <summary>Drafts of a scheme after each token: chosen ones are always the same; drawn ones are drawn anew on the host from the same tables.</summary>
    private sealed class DraftSupply
    {
        private readonly float[][] _q;
        private readonly bool _drawn;
        private readonly StaticShape _tree;
        private readonly Draft[] _chosen;
        private readonly RandomSource _random;

        public DraftSupply(string scheme, GenerationOptions options, RandomSource random)
        {
            (_random, _drawn) = (random, scheme.Contains("drawn", StringComparison.Ordinal));
            _q = Distributions.Of(Logits(s_head), options);
            _tree = scheme == "one drawn candidate" ? new StaticShape("one", [[0]]) : s_tree;
            using var drafter = new ToyDrafter(s_head);
            DraftShape shape = scheme == "dynamic tree" ? new DynamicShape { Tokens = 7, Levels = 3, TopK = 3 } : _tree;
            _chosen = [.. Enumerable.Range(0, Size).Select(root =>
            {
                drafter.Root = root;
                return Assert.Single(drafter.Propose(shape, new BestChooser(false)));
            })];
        }

        public Draft After(int root)
        {
            if (!_drawn) return _chosen[root];
            // The same draws as the drawing chooser's, without a tensor; one drafter a tree, whose levels are this table's rows.
            return Assert.Single(new TableDrafter(_q, root).Propose(_tree, new TableChooser(_q, root, _random)));
        }
    }

    // Gives the chooser the node's token by way of the logits' place: a row a node.
    private sealed class TableDrafter(float[][] q, int root) : LevelDrafter
    {
        public override int MaxDraftLength => q.Length;

        public override int Batch => 1;

        public override void CatchUp(Tensor features, IReadOnlyList<int[]> tokens) => throw new NotSupportedException();

        public override Tensor First()
        {
            TableChooser.Nodes = [root];
            return null!;
        }

        public override Tensor Next(IReadOnlyList<int[]> tokens, IReadOnlyList<int[]> parents)
        {
            TableChooser.Nodes = tokens[0];
            return null!;
        }
    }

    private sealed class TableChooser(float[][] q, int root, RandomSource random) : ICandidateChooser
    {
        [ThreadStatic]
        public static int[]? Nodes;

        public IReadOnlyList<Choice[]> Choose(Tensor logits, int count) => [.. (Nodes ?? [root]).Select(node => DrawingChooser.DrawSome(q[node], count, random))];
    }
}
