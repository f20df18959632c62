using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Verification;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Runtime;

namespace Koala.Lab.Tests.Decoding;

/// <summary>Medusa's rule, which is not lossless.</summary>
public sealed class TypicalVerifierTests
{
    private static readonly float[] s_sharp = [0.97f, 0.01f, 0.01f, 0.01f];   // threshold 0.09
    private static readonly float[] s_flat = [0.25f, 0.25f, 0.25f, 0.25f];    // entropy ln 4: threshold 0.075

    [Fact]
    public void A_candidate_is_accepted_when_it_is_likely_enough_for_the_targets_entropy()
    {
        float[] p = [0.60f, 0.25f, 0.08f, 0.07f];   // entropy 1.04: threshold 0.09 or 0.106, the smaller
        Assert.Equal([true, true, false, false], Kept(p));
        Assert.Equal([true, true, true, true], Kept(s_flat));
        Assert.Equal([true, false, false, false], Kept(s_sharp));
        // This distribution is flatter still: the threshold from its entropy is below 0.09.
        float[] wide = [0.12f, 0.08f, .. Enumerable.Repeat(0.05f, 16)];
        Assert.Equal([true, true, .. Enumerable.Repeat(true, 16)], Kept(wide));
        float[] mixed = [0.45f, .. Enumerable.Repeat(0.05f, 11)];   // entropy 2.0: threshold 0.0405
        Assert.Equal(Enumerable.Repeat(true, 12), Kept(mixed));
    }

    [Fact]
    public void The_longest_path_wins_and_of_equals_the_likeliest()
    {
        // Token 0 is best at the root, but only 1 has an accepted child; of its children 3 is likelier than 2.
        var draft = new Draft([new(0, -1, 0, null), new(1, -1, 0, null), new(1, 0, 0, null), new(2, 1, 0, null),
            new(3, 1, 0, null)]);
        float[][] p = [[0.6f, 0.4f, 0, 0], s_sharp, [0.01f, 0.01f, 0.38f, 0.6f], s_flat, s_flat, s_flat];
        Assert.Equal([1, 4], Verify(p, draft).Path);
    }

    [Fact]
    public void Nothing_is_accepted_below_a_rejected_candidate()
    {
        var draft = new Draft([new(1, -1, 0, null), new(0, 0, 0, null)]);
        var accepted = Verify([s_sharp, s_sharp, [0, 0, 0, 1]], draft);
        Assert.Empty(accepted.Path);
        Assert.Contains(accepted.Bonus, (int[])[0, 1, 2, 3]);
    }

    [Fact]
    public void The_bonus_comes_from_the_row_of_the_last_accepted_candidate()
    {
        var draft = new Draft([new(0, -1, 0, null), new(1, -1, 0, null)]);
        for (var i = 0; i < 20; i++) Assert.Equal(3, Verify([s_sharp, [0, 0, 0, 1], s_flat], draft, i).Bonus);
    }

    [Fact]
    public void It_decodes_with_a_tree_and_is_refused_without_a_temperature()
    {
        using var head = PlainDecoding.RecordedHead();
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        var options = new GenerationOptions
        {
            MaxTokens = 30, Temperature = 0.7, Acceptance = AcceptanceMode.Typical,
            Tree = StaticTree.Find("mc_sim_7b_63"),
        };
        var prompt = Golden.Prompts("koala-nano")[1].Ids;
        var answer = decoder.Generate(prompt, options);
        Assert.Equal(30, answer.Tokens.Count);
        Assert.Equal(answer.Tokens, decoder.Generate(prompt, options).Tokens);
        Assert.Equal("acceptance",
            Assert.Throws<KoalaException>(() => decoder.Generate(prompt, options with { Temperature = 0 })).Where);
    }

    private static IEnumerable<bool> Kept(float[] p) =>
        Enumerable.Range(0, p.Length).Select(token => Verify([p, p], new Draft([new(token, -1, 0, null)])).Accepted == 1);

    private static AcceptedPath Verify(float[][] p, Draft draft, int stream = 0) =>
        new TypicalVerifier(new GenerationOptions { Temperature = 1 })
            .Verify(new TargetDistributions(null, p), draft, RandomStreams.Create(0, stream));
}
