using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Evaluation.Acceptance;

namespace Koala.Lab.Tests.Evaluation;

/// <summary>Acceptance by the length of the context.</summary>
public sealed class ContextBinTests
{
    [Fact]
    public void A_round_counts_where_it_begins()
    {
        // The contexts before the rounds: 62, 65, 66; and 127, 128, 133.
        var bins = ContextBin.Of([Answer(61, 2, 0, 4), Answer(126, 0, 4, 1)]);
        Assert.Equal([new ContextBin(0, 63, 1, 3), new ContextBin(64, 127, 3, (1 + 5 + 1) / 3.0), new ContextBin(128, 255, 2, 3.5)], bins);
        Assert.Equal("64-127", bins[1].Name);
        Assert.Empty(ContextBin.Of([Answer(5)]));
    }

    private static Generation Answer(int prompt, params int[] accepted) => new(
        new int[prompt], new int[1 + accepted.Sum(a => a + 1)], "", FinishReason.Length, 1, 0.1,
        [.. accepted.Select(a => new Round(4, a, 1, 1, 1))]);
}
