using Koala.Lab.Runtime;

namespace Koala.Lab.Tests.Runtime;

public sealed class RandomStreamsTests
{
    [Fact]
    public void Streams_of_one_seed_and_seeds_of_one_stream_differ()
    {
        var firsts = new HashSet<double>();
        for (var seed = -3; seed <= 3; seed++)
            for (var stream = 0; stream < 200; stream++)
                Assert.True(firsts.Add(RandomStreams.Create(seed, stream).NextDouble()), $"seed {seed}, stream {stream}");
    }
}
