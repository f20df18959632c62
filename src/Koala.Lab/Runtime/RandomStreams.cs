using MathNet.Numerics.Random;

namespace Koala.Lab.Runtime;

/// <summary>Random numbers that are the same on every platform. One seed gives many independent streams.</summary>
internal static class RandomStreams
{
    /// <summary>Creates a new generator at the start of a stream.</summary>
    /// <param name="seed">The seed of all streams.</param>
    /// <param name="stream">
    /// The number of the stream, which may be negative: the number of a prompt, an epoch or a training step.
    /// </param>
    public static RandomSource Create(int seed, int stream) =>
        new Xoshiro256StarStar(unchecked(seed * 0x3779_97f5 + stream), threadSafe: false);
}
