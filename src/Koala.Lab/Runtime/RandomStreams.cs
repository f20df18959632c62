using MathNet.Numerics.Random;

namespace Koala.Lab.Runtime;

/// <summary>Random numbers that are the same on every platform: one seed has many independent streams.</summary>
internal static class RandomStreams
{
    /// <summary>A new generator at the start of a stream.</summary>
    /// <param name="seed">The seed of the whole piece of work.</param>
    /// <param name="stream">The number of the stream, which may be negative: of a prompt, an epoch or a training step.</param>
    public static RandomSource Create(int seed, int stream) =>
        new Xoshiro256StarStar(unchecked(seed * 0x3779_97f5 + stream), threadSafe: false);
}
