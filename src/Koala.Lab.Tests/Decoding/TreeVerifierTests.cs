using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Sampling;
using Koala.Lab.Decoding.Verification;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Runtime;
using Koala.Lab.Tests.Drafting.Trees;
using MathNet.Numerics.Distributions;
using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Decoding;

/// <summary>
/// Two consecutive tokens of a toy target, drawn 40,000 times (in docs/thorough.sh 200,000 times) with drafts of a toy
/// head, have exactly the target's distribution, whatever the draft looks like; rules known to be wrong fail the same
/// test. The shapes that the decoder uses grow the drafts. p and q depend on the token before.
/// </summary>
[Trait(PromptSample.Category, PromptSample.Sampled)]
public sealed class TreeVerifierTests
{
    private const int Vocabulary = 8;
    private const int Draws = 200_000;
    private const int FewerDraws = 40_000;   // enough to detect a wrong rule
    private const double Significance = 0.001;

    private static readonly StaticTree s_tree = new("t", [[0], [1], [2], [0, 0], [0, 1], [1, 0], [2, 0], [2, 1], [0, 0, 0]]);

    private static readonly Dictionary<string, (DraftTree Shape, bool Drawn)> s_schemes = new()
    {
        ["drawn chain"] = (new ChainTree(2), true),
        ["chosen chain"] = (new ChainTree(2), false),
        ["drawn tree"] = (s_tree, true),
        ["drawn tree of all tokens"] = (new StaticTree("all",
            [.. Enumerable.Range(0, Vocabulary).Select(i => new[] { i }), [1, 0], [7, 0]]),
            true),
        ["chosen tree"] = (s_tree, false),
        ["dynamic tree"] = (new DynamicTree { Tokens = 9, Levels = 3, TopK = 3 }, false),
    };

    /// <summary>A verification rule over the target's rows, the draft and the generator.</summary>
    private delegate AcceptedPath Rule(float[][] p, Draft draft, RandomSource random);

    public static TheoryData<string, double, double> Cases
    {
        get
        {
            var cases = new TheoryData<string, double, double>();
            foreach (var scheme in s_schemes.Keys)
            {
                cases.Add(scheme, 1, 1);
                cases.Add(scheme, 0.7, 0.85);
            }
            return cases;
        }
    }

    [Theory, MemberData(nameof(Cases))]
    public void Tokens_have_the_targets_distribution(string scheme, double temperature, double topP)
    {
        var options = new GenerationOptions { Temperature = temperature, TopP = topP };
        var accepted = 0;
        AcceptedPath Counted(float[][] p, Draft draft, RandomSource random)
        {
            var path = Koala(p, draft, random);
            accepted += path.Accepted;
            return path;
        }
        var draws = PromptSample.Count(Draws, FewerDraws);
        var probability = Probability(Counted, scheme, options, options, draws);
        Assert.True(probability > Significance, $"{probability}");
        Assert.InRange(accepted, draws / 8, int.MaxValue);   // otherwise nothing was tested
    }

    [Theory, InlineData("drawn tree"), InlineData("chosen tree")]
    public void The_correct_rule_behind_the_wrong_ones_passes(string scheme) =>
        Assert.True(Of(new TestRule(), scheme) > Significance);

    [Theory, InlineData("drawn tree"), InlineData("drawn tree of all tokens")]
    public void A_residual_that_is_not_normalised_is_detected(string scheme) =>
        Assert.True(Of(new TestRule { NormaliseP = false }, scheme) < Significance);

    [Fact]
    public void A_q_that_is_not_normalised_after_a_rejection_is_detected() =>
        Assert.True(Of(new TestRule { NormaliseQ = false }, "drawn tree") < Significance);

    [Fact]
    public void A_rejected_sibling_left_in_q_is_detected() =>
        Assert.True(Of(new TestRule { RemoveRejected = false }, "drawn tree") < Significance);

    [Theory, InlineData("chosen tree"), InlineData("dynamic tree"), InlineData("chosen chain")]
    public void Chosen_candidates_verified_as_if_drawn_are_detected(string scheme) =>
        Assert.True(Of(new TestRule { AsDrawn = true }, scheme) < Significance);

    [Fact]
    public void A_bonus_from_p_after_rejections_is_detected()
    {
        foreach (var scheme in (string[])["drawn tree", "chosen tree"])
            Assert.True(Of(new TestRule { BonusFromP = true }, scheme) < Significance);
    }

    [Theory, InlineData("drawn tree"), InlineData("drawn chain"), InlineData("chosen tree")]
    public void A_bonus_from_the_row_of_the_last_candidate_is_detected(string scheme) =>
        Assert.True(Of(new TestRule { BonusFromLastRow = true }, scheme) < Significance);

    [Theory, InlineData("drawn tree"), InlineData("drawn chain")]
    public void A_raw_q_for_candidates_of_a_tempered_one_is_detected(string scheme)
    {
        var options = new GenerationOptions { Temperature = 0.7, TopP = 0.85 };
        Assert.True(Probability(new TestRule { RawQ = true }.Verify, scheme, options, options, FewerDraws) < Significance);
        Assert.True(Probability(new TestRule().Verify, scheme, options, options, FewerDraws) > Significance);
    }

    [Theory, InlineData("drawn tree"), InlineData("chosen tree")]
    public void A_raw_p_where_the_output_should_be_cut_is_detected(string scheme)
    {
        var cut = new GenerationOptions { Temperature = 0.7, TopP = 0.85 };
        Assert.True(Probability(Koala, scheme, cut, new GenerationOptions { Temperature = 1 }, FewerDraws) < Significance);
    }

    /// <summary>
    /// The worked example: verified as if drawn, two chosen candidates give .6 .4 0 0 0 instead of the target's .3 .3
    /// .2 .1 .1.
    /// </summary>
    [Fact]
    public void Two_chosen_candidates_leave_the_textbook_distribution_unchanged()
    {
        float[] p = [0.3f, 0.3f, 0.2f, 0.1f, 0.1f];
        var draft = new Draft([new Candidate(0, -1, 0.6f, null), new Candidate(1, -1, 0.4f, null)]);
        var (random, counts) = (RandomStreams.Create(1, 2), new int[5]);
        for (var i = 0; i < Draws; i++)
        {
            var accepted = Koala([p, p, p], draft, random);
            counts[accepted.Accepted > 0 ? draft.Candidates[accepted.Path[0]].Token : accepted.Bonus]++;
        }
        for (var t = 0; t < 5; t++) Assert.InRange(counts[t] / (double)Draws, p[t] - 0.005, p[t] + 0.005);
    }

    [Fact]
    public void A_residual_of_zero_mass_leaves_p()
    {
        // q equals p, so only rounding can cause a rejection. The last sibling may even be the last token of the
        // vocabulary.
        float[] p = [0.5f, 0.5f, 0];
        var draft = new Draft([new Candidate(0, -1, 0.5f, p), new Candidate(1, -1, 0.5f, p)]);
        var random = RandomStreams.Create(1, 3);
        for (var i = 0; i < 10_000; i++) Assert.Equal([0], Koala([p, p, p], draft, random).Path);
        // The chosen children have all of p's mass, so one of them is always accepted.
        var chosen = new Draft([new Candidate(0, -1, 0.5f, null), new Candidate(1, -1, 0.5f, null)]);
        for (var i = 0; i < 10_000; i++) Assert.Equal(1, Koala([p, p, p], chosen, random).Accepted);
    }

    [Fact]
    public void Duplicate_siblings_are_verified_once()
    {
        float[] p = [0.3f, 0.5f, 0.2f];
        var draft = new Draft([new Candidate(0, -1, 0.6f, null), new Candidate(0, -1, 0.6f, null)]);
        var (random, first) = (RandomStreams.Create(1, 4), 0);
        for (var i = 0; i < Draws; i++)
        {
            var accepted = Koala([p, p, p], draft, random);
            Assert.DoesNotContain(1, accepted.Path);
            first += accepted.Accepted;
        }
        Assert.InRange(first / (double)Draws, 0.295, 0.305);
    }

    private static double Of(TestRule rule, string scheme) =>
        Probability(rule.Verify, scheme, new GenerationOptions { Temperature = 1 },
            new GenerationOptions { Temperature = 1 }, FewerDraws);

    private static AcceptedPath Koala(float[][] p, Draft draft, RandomSource random) =>
        new SamplingVerifier(new GenerationOptions { Temperature = 1 }).Verify(new TargetDistributions(null, p), draft, random);

    // The p-value of a chi-square test of two tokens against p: the probability of a deviation at least this large.
    // ruleOptions make the rule's p, where that is meant to be wrong.
    private static double Probability(Rule rule, string scheme, GenerationOptions options,
        GenerationOptions ruleOptions, int draws)
    {
        using var scope = NewDisposeScope();
        var (target, head) = (Table(1), Table(2));
        var (expectedP, p) = (Distributions.FromLogits(target, options), Distributions.FromLogits(target, ruleOptions));
        var (tree, drawn) = s_schemes[scheme];
        RandomSource random = RandomStreams.Create(20, 0);
        // What is chosen depends on the root only.
        var chosen = drawn ? null : new ToyDrafter(head, [.. Enumerable.Range(0, Vocabulary)]).Propose(tree, new GreedySampler(true));
        var counts = new long[Vocabulary * Vocabulary];
        const int Batch = 20_000;
        for (var n = 0; n < draws; n += Batch)
        {
            using var batch = NewDisposeScope();
            int[][] first = [.. Round([.. new int[Batch]])];
            // A round that committed two tokens gives both; otherwise the next round, from where the first one ended,
            // gives the second.
            int[][] one = [.. first.Where(tokens => tokens.Length == 1)];
            foreach (var tokens in first.Where(tokens => tokens.Length > 1)) counts[tokens[0] * Vocabulary + tokens[1]]++;
            foreach (var (tokens, next) in one.Zip(Round([.. one.Select(tokens => tokens[0])])))
                counts[tokens[0] * Vocabulary + next[0]]++;

            IEnumerable<int[]> Round(int[] roots)
            {
                var drafts = drawn ? new ToyDrafter(head, roots).Propose(tree,
                    new MultinomialSampler(options, [.. Enumerable.Repeat(random, roots.Length)])) : null;
                for (var i = 0; i < roots.Length; i++)
                {
                    var draft = drafts?[i] ?? chosen![roots[i]];
                    float[][] rows = [p[roots[i]], .. draft.Candidates.Select(c => p[c.Token])];
                    var accepted = rule(rows, draft, random);
                    yield return [.. accepted.Path.Select(c => draft.Candidates[c].Token), accepted.Bonus];
                }
            }
        }
        var (sum, cells) = (0.0, 0);
        for (var i = 0; i < counts.Length; i++)
        {
            var expected = (double)expectedP[0][i / Vocabulary] * expectedP[i / Vocabulary][i % Vocabulary] * draws;
            if (expected == 0 && counts[i] > 0) return 0;
            if (expected == 0) continue;
            sum += (counts[i] - expected) * (counts[i] - expected) / expected;
            cells++;
        }
        return 1 - ChiSquared.CDF(cells - 1, sum);
    }

    private static Tensor Table(ulong seed) => randn([Vocabulary, Vocabulary], generator: new Generator(seed));

    /// <summary>The multi-round rule as the papers have it, each step of which can be left out.</summary>
    private sealed class TestRule
    {
        public bool NormaliseP { get; init; } = true;

        public bool NormaliseQ { get; init; } = true;

        public bool RemoveRejected { get; init; } = true;

        public bool AsDrawn { get; init; }

        public bool RawQ { get; init; }

        public bool BonusFromP { get; init; }

        public bool BonusFromLastRow { get; init; }

        public AcceptedPath Verify(float[][] p, Draft draft, RandomSource random)
        {
            var (path, node) = (new List<int>(), -1);
            while (true)
            {
                double[] g = [.. p[node + 1]];
                double[]? q = null;
                var kept = -1;
                for (var i = 0; i < draft.Candidates.Count && kept < 0; i++)
                {
                    var c = draft.Candidates[i];
                    if (c.Parent != node) continue;
                    q ??= c.Distribution is { } d ? [.. RawQ ? d.Select(x => Math.Sqrt(x)) : d.Select(x => (double)x)] : null;
                    var drawn = q
                        ?? (AsDrawn
                            ? [.. Enumerable.Range(0, g.Length).Select(t => t == c.Token ? (double)c.Q!.Value : 0)]
                            : null);
                    if (random.NextDouble() < (drawn is null ? g[c.Token] : g[c.Token] / drawn[c.Token]))
                    {
                        kept = i;
                        break;
                    }
                    g = [.. g.Select((x, t) => drawn is null ? (t == c.Token ? 0 : x) : Math.Max(0, x - drawn[t]))];
                    if (NormaliseP) g = Normal(g);
                    if (q is not null && RemoveRejected) q[c.Token] = 0;
                    if (q is not null && NormaliseQ) q = Normal(q);
                }
                if (kept < 0)
                {
                    var bonus = BonusFromLastRow ? p[^1] : BonusFromP ? p[node + 1] : [.. g.Select(x => (float)x)];
                    return new AcceptedPath(path, TokenDraw.Sample(bonus, random));
                }
                path.Add(kept);
                node = kept;
            }
        }

        private static double[] Normal(double[] weights) =>
            weights.Sum() > 0 ? [.. weights.Select(w => w / weights.Sum())] : weights;
    }
}
