using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Targets;

/// <summary>A cache on a GPU closes the gaps between accepted tokens as one on a CPU does.</summary>
public sealed class CacheMovesTests
{
    private const int Capacity = 96;

    [Theory]
    [InlineData(ScalarType.BFloat16, 64, 1)]
    [InlineData(ScalarType.BFloat16, 128, 3)]
    [InlineData(ScalarType.Float32, 64, 40)]
    [InlineData(ScalarType.Float32, 6, 2)]      // a head's numbers do not fill whole pieces
    public void Accepted_tokens_move_to_their_places(ScalarType dtype, int headDim, int batch)
    {
        Assert.SkipUnless(cuda.is_available(), "needs a GPU");
        using var scope = NewDisposeScope();
        var random = new Random(3);
        KeyValueCache New(Device device) => new(layers: 2, batch, Capacity, heads: 3, headDim, dtype, device);
        using var expected = New(CPU);
        using var actual = New(CUDA);
        foreach (var (own, other) in expected.Keys.Concat(expected.Values).Zip(actual.Keys.Concat(actual.Values)))
        {
            own.copy_(randn_like(own));
            other.copy_(own);
        }
        var starts = new int[batch];
        for (var round = 0; round < 3; round++)
        {
            var accepted = new int[batch][];
            for (var b = 0; b < batch; b++)
            {
                foreach (var cache in (KeyValueCache[])[expected, actual]) cache.Extend(b, 20);
                accepted[b] = [0, .. Enumerable.Range(1, 19).Where(_ => random.Next(3) == 0)];
            }
            expected.Compact(starts, accepted);
            actual.Compact(starts, accepted);
            starts = [.. expected.Lengths];
            Assert.Equal(expected.Lengths, actual.Lengths);
            // Behind the accepted tokens both have what they had.
            foreach (var (own, other) in expected.Keys.Concat(expected.Values).Zip(actual.Keys.Concat(actual.Values)))
                Assert.True(own.equal(other.cpu()).all().item<bool>());
        }
    }
}
