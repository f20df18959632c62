using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Sampling;
using Koala.Lab.Decoding.Verification;
using Koala.Lab.Drafting;
using Koala.Lab.Runtime;
using MathNet.Numerics.Distributions;
using MathNet.Numerics.Random;

namespace Koala.Lab.Tests.Decoding;

/// <summary>
/// Three consecutive tokens of a toy model, drawn 200,000 times with chains of two candidates, have exactly the model's
/// distribution; rules known to be wrong fail the same test. In the toy model, p and q of the next token depend on the
/// token before it.
/// </summary>
public sealed class SamplingVerifierTests
{
    private const int Tokens = 3;
    private const int Draws = 200_000;
    private const double Significance = 0.001;

    private static readonly float[][] s_p =
    [
        [0.40f, 0.30f, 0.15f, 0.10f, 0.05f],
        [0.10f, 0.50f, 0.10f, 0.20f, 0.10f],
        [0.05f, 0.15f, 0.60f, 0.10f, 0.10f],
        [0.20f, 0.20f, 0.20f, 0.20f, 0.20f],
        [0.30f, 0.05f, 0.05f, 0.25f, 0.35f],
    ];

    private static readonly float[][] s_q =
    [
        [0.10f, 0.20f, 0.30f, 0.20f, 0.20f],
        [0.50f, 0.10f, 0.20f, 0.10f, 0.10f],
        [0.20f, 0.20f, 0.20f, 0.20f, 0.20f],
        [0.60f, 0.10f, 0.10f, 0.10f, 0.10f],
        [0.05f, 0.35f, 0.25f, 0.30f, 0.05f],
    ];

    /// <summary>A verification rule over the target's rows, the draft and the generator.</summary>
    private delegate AcceptedPath Rule(float[][] p, Draft draft, RandomSource random);

    [Fact]
    public void Drawn_candidates_leave_the_distribution_unchanged() =>
        Assert.True(Probability(Koala, s_p, s_q, Drawn) > Significance);

    [Fact]
    public void Chosen_candidates_leave_the_distribution_unchanged() =>
        Assert.True(Probability(Koala, s_p, s_q, Chosen) > Significance);

    [Fact]
    public void A_head_equal_to_the_target_is_always_accepted()
    {
        var rejected = 0;
        AcceptedPath Counted(float[][] p, Draft draft, RandomSource random)
        {
            var accepted = Koala(p, draft, random);
            if (accepted.Accepted < draft.Candidates.Count) rejected++;
            return accepted;
        }
        Assert.True(Probability(Counted, s_p, s_p, Drawn) > Significance);
        Assert.Equal(0, rejected);
    }

    [Fact]
    public void A_head_that_shares_no_token_with_the_target_is_never_accepted()
    {
        float[][] p = [.. Enumerable.Repeat<float[]>([0.5f, 0, 0.3f, 0, 0.2f], 5)];
        float[][] q = [.. Enumerable.Repeat<float[]>([0, 0.6f, 0, 0.4f, 0], 5)];
        var accepted = 0;
        AcceptedPath Counted(float[][] rows, Draft draft, RandomSource random)
        {
            var path = Koala(rows, draft, random);
            accepted += path.Accepted;
            return path;
        }
        Assert.True(Probability(Counted, p, q, Drawn) > Significance);
        Assert.Equal(0, accepted);
    }

    [Fact]
    public void Tokens_that_the_target_excludes_are_never_drawn()
    {
        float[][] cut = [.. s_p.Select(row => Normal([.. row.Select((x, i) => i == 3 ? 0 : x)]))];
        Assert.True(Probability(Koala, cut, s_q, Drawn) > Significance);
        Assert.True(Probability(Koala, cut, s_q, Chosen) > Significance);
    }

    [Fact]
    public void Accepted_tokens_are_as_many_as_p_and_q_overlap()
    {
        var random = RandomStreams.Create(3, 0);
        var accepted = 0;
        for (var i = 0; i < Draws; i++) accepted += Koala([s_p[0], s_p[0]], Drawn(s_q, 0, 1, random), random).Accepted;
        double overlap = s_p[0].Zip(s_q[0], Math.Min).Sum();
        // Five standard deviations.
        var margin = 5 * Math.Sqrt(overlap * (1 - overlap) / Draws);
        Assert.InRange((double)accepted / Draws, overlap - margin, overlap + margin);
    }

    [Fact]
    public void A_bonus_from_p_after_a_rejection_is_detected() =>
        Assert.True(Probability((p, draft, random) => Verify(p, draft, random, (_, q) => q, (row, _) => row, _ => 0),
            s_p, s_q, Drawn) < Significance);

    [Fact]
    public void A_raw_q_for_candidates_drawn_from_a_tempered_one_is_detected()
    {
        // The test draws from q at temperature 0.5; the rule verifies with q itself.
        float[][] tempered = [.. s_q.Select(row => Normal([.. row.Select(x => x * x)]))];
        static float[] Raw(Draft draft, float[] q) => Normal([.. q.Select(MathF.Sqrt)]);
        Assert.True(Probability((p, draft, random) => Verify(p, draft, random, Raw, Residual, _ => 0), s_p, tempered,
            Drawn) < Significance);
        Assert.True(Probability(Koala, s_p, tempered, Drawn) > Significance);
    }

    [Fact]
    public void A_bonus_from_another_row_is_detected() =>
        Assert.True(Probability((p, draft, random) =>
            Verify(p, draft, random, (_, q) => q, Residual, accepted => Math.Max(accepted - 1, 0) - accepted),
            s_p, s_q, Drawn) < Significance);

    [Fact]
    public void A_residual_of_the_row_after_the_rejected_candidate_is_detected() =>
        Assert.True(Probability((p, draft, random) =>
            Verify(p, draft, random, (_, q) => q, Residual, accepted => Math.Min(accepted + 1, p.Length - 1) - accepted),
            s_p, s_q, Drawn) < Significance);

    [Fact]
    public void Chosen_candidates_verified_as_if_drawn_are_detected() =>
        Assert.True(Probability((p, draft, random) => Verify(p, draft, random, (_, _) => s_q[0], Residual, _ => 0), s_p, s_q,
            Chosen) < Significance);

    /// <summary>Whether a token is drafted follows from the token before it.</summary>
    [Fact]
    public void A_cut_by_what_is_already_drafted_leaves_the_distribution_unchanged()
    {
        // Two, one and no candidate occur.
        float[] confidence = [0.9f, 0.4f, 0.7f, 0.2f, 0.6f];
        Draft Cut(float[][] q, int last, int length, RandomSource random)
        {
            var (product, drafted) = (confidence[last], Draft.Empty);
            while (drafted.Candidates.Count < length && product >= 0.3)
            {
                last = drafted.Candidates is [.., var before] ? before.Token : last;
                drafted = Draft.Chain([.. Tokens(drafted), .. Tokens(Drawn(q, last, 1, random))]);
                product *= confidence[drafted.Candidates[^1].Token];
            }
            return drafted;
        }
        Assert.True(Probability(Koala, s_p, s_q, Cut) > Significance);

        static IEnumerable<SampledToken> Tokens(Draft draft) =>
            draft.Candidates.Select(c => new SampledToken(c.Token, c.Q, c.Distribution));
    }

    /// <summary>A cut that looks at the token itself, or at the confidence behind it, keeps some tokens more often than others.</summary>
    [Theory, InlineData(false), InlineData(true)]
    public void A_cut_by_the_next_token_is_detected(bool byConfidenceBehindIt)
    {
        float[] confidence = [0.9f, 0.4f, 0.7f, 0.2f, 0.6f];
        Draft Cut(float[][] q, int last, int length, RandomSource random)
        {
            var draft = Drawn(q, last, length, random);
            float Measure(Candidate c) => byConfidenceBehindIt ? confidence[c.Token] : c.Q!.Value;
            return draft.Truncate(draft.Candidates.TakeWhile(c => Measure(c) >= 0.3).Count());
        }
        Assert.True(Probability(Koala, s_p, s_q, Cut) < Significance);
    }

    /// <summary>The test's own rule is correct unless an option makes it wrong.</summary>
    [Fact]
    public void The_correct_rule_behind_the_wrong_ones_passes() =>
        Assert.True(Probability((p, draft, random) => Verify(p, draft, random, (_, q) => q, Residual, _ => 0), s_p, s_q,
            Drawn) > Significance);

    private static AcceptedPath Koala(float[][] p, Draft draft, RandomSource random) =>
        new SamplingVerifier(new GenerationOptions { Temperature = 1 }).Verify(new TargetDistributions(null, p), draft, random);

    // The rule of arXiv 2211.17192 with three parts left open: which q it verifies with, what is left after a
    // rejection, and which row the bonus token comes from (an offset).
    private static AcceptedPath Verify(float[][] p, Draft draft, RandomSource random,
        Func<Draft, float[], float[]> proposalRow, Func<float[], float[], float[]> residual, Func<int, int> offset)
    {
        for (var i = 0; i < draft.Candidates.Count; i++)
        {
            var token = draft.Candidates[i].Token;
            var q = proposalRow(draft, draft.Candidates[i].Distribution ?? []);
            if (random.NextDouble() * q[token] < p[i][token]) continue;
            var rest = residual(p[i + offset(i)], q);
            return new AcceptedPath([.. Enumerable.Range(0, i)], TokenDraw.Sample(rest, random));
        }
        var count = draft.Candidates.Count;
        return new AcceptedPath([.. Enumerable.Range(0, count)], TokenDraw.Sample(p[count + offset(count)], random));
    }

    private static float[] Residual(float[] p, float[] q)
    {
        float[] residual = [.. p.Zip(q, (a, b) => Math.Max(0, a - b))];
        return residual.Sum() > 0 ? residual : p;
    }

    private static Draft Drawn(float[][] q, int last, int length, RandomSource random)
    {
        var sampled = new List<SampledToken>();
        for (var i = 0; i < length; i++)
        {
            var row = q[last];
            last = TokenDraw.Sample(row, random);
            sampled.Add(new SampledToken(last, row[last], row));
        }
        return Draft.Chain(sampled);
    }

    private static Draft Chosen(float[][] q, int last, int length, RandomSource random)
    {
        var sampled = new List<SampledToken>();
        for (var i = 0; i < length; i++)
        {
            var row = q[last];
            last = Array.IndexOf(row, row.Max());
            sampled.Add(new SampledToken(last, row[last], null));
        }
        return Draft.Chain(sampled);
    }

    // The p-value of a chi-square test of the tokens against p: the probability of a deviation at least this large.
    private static double Probability(Rule rule, float[][] p, float[][] q,
        Func<float[][], int, int, RandomSource, Draft> propose)
    {
        var size = p.Length;
        var counts = new long[size * size * size];
        var random = RandomStreams.Create(12, 0);
        for (var n = 0; n < Draws; n++)
        {
            var tokens = new List<int> { 0 };   // the token before
            while (tokens.Count < Tokens + 1)
            {
                var draft = propose(q, tokens[^1], 2, random);
                float[][] rows = [p[tokens[^1]], .. draft.Candidates.Select(c => p[c.Token])];
                var accepted = rule(rows, draft, random);
                tokens.AddRange([.. draft.Candidates.Take(accepted.Accepted).Select(c => c.Token), accepted.Bonus]);
            }
            counts[(tokens[1] * size + tokens[2]) * size + tokens[3]]++;
        }
        var (sum, cells) = (0.0, 0);
        for (var i = 0; i < counts.Length; i++)
        {
            var (a, b, c) = (i / size / size, i / size % size, i % size);
            var expected = (double)p[0][a] * p[a][b] * p[b][c] * Draws;
            if (expected == 0 && counts[i] > 0) return 0;
            if (expected == 0) continue;
            sum += (counts[i] - expected) * (counts[i] - expected) / expected;
            cells++;
        }
        return 1 - ChiSquared.CDF(cells - 1, sum);
    }

    private static float[] Normal(float[] weights) => [.. weights.Select(w => w / weights.Sum())];
}
