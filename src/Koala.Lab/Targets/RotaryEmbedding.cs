using Koala.Lab.Checkpoints;
using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>
/// Rotary position embedding (arXiv 2104.09864). It rotates halves as Hugging Face's Llama does, with its linear,
/// llama3 and yarn scalings, and with divisors of its own for each pair.
/// </summary>
/// <remarks>
/// Where a family rotates a part of each head, the other pairs have the frequency 0, and a target's queries and keys are read in the order
/// of these pairs (<see cref="PairOrder"/>).
/// With x' = x·cos + roll(x, headDim/2)·sin a rotation takes three operations, if the sines of the first half are
/// negated. Angles are computed in each step, because a table would be as long as whatever context a config claims.
/// </remarks>
internal sealed class RotaryEmbedding : IDisposable
{
    private readonly ScalarType _dtype;
    private readonly Tensor _frequencies;   // [headDim], both halves the same
    private readonly Tensor _signs;         // [headDim], a half of -1 and a half of 1
    private readonly Tensor? _factors;      // [headDim], what cosines and sines are multiplied by; null for 1

    /// <param name="frequencies">Radians per position, for each of the headDim/2 pairs.</param>
    /// <param name="dtype">The dtype of the cosines and sines.</param>
    /// <param name="device">Their device.</param>
    /// <param name="config">The config, whose rotated pairs may have a factor.</param>
    public RotaryEmbedding(float[] frequencies, ScalarType dtype, Device device, ModelConfig config)
    {
        using var scope = NewDisposeScope();
        _dtype = dtype;
        if (config.RotaryFactor != 1)
        {
            var factors = tensor(Factors(config), device: device);
            _factors = cat([factors, factors], 0).DetachFromDisposeScope();
        }
        var half = tensor(frequencies, device: device);
        _frequencies = cat([half, half], 0).DetachFromDisposeScope();
        _signs = cat([-ones_like(half), ones_like(half)], 0).DetachFromDisposeScope();
    }

    /// <summary>Cosines and signed sines of the positions [B,T]: [B,T,1,headDim] each.</summary>
    public (Tensor Cos, Tensor Sin) Compute(Tensor positions)
    {
        var angles = positions.unsqueeze(-1).unsqueeze(-1) * _frequencies;
        var (cos, sin) = (angles.cos(), angles.sin() * _signs);
        if (_factors is not null) (cos, sin) = (cos * _factors, sin * _factors);
        return (cos.to(_dtype), sin.to(_dtype));
    }

    public void Dispose()
    {
        _frequencies.Dispose();
        _signs.Dispose();
        _factors?.Dispose();
    }

    /// <summary>Radians per position, for each of the headDim/2 pairs.</summary>
    internal static float[] Frequencies(ModelConfig config)
    {
        var result = new float[config.HeadDim / 2];
        var rotated = config.RotaryDim ?? config.HeadDim;
        for (var i = 0; i < rotated / 2; i++)
        {
            var frequency = 1.0 / Math.Pow(config.RopeTheta, 2.0 * i / rotated);
            result[i] = (float)(config.RopeScaling is { } scaling ? Scale(frequency, i, scaling, config) : frequency);
        }
        return result;
    }

    /// <summary>What the cosines and sines of each pair are multiplied by.</summary>
    internal static float[] Factors(ModelConfig config) =>
    [
        .. Enumerable.Range(0, config.HeadDim / 2)
            .Select(pair => pair < (config.RotaryDim ?? config.HeadDim) / 2 ? (float)config.RotaryFactor : 1),
    ];

    /// <summary>The frequencies of the layers with a sliding window.</summary>
    internal static float[] LocalFrequencies(ModelConfig config) =>
        config.LocalRopeTheta is { } theta ? Frequencies(config with { RopeTheta = theta, RopeScaling = null }) : Frequencies(config);

    /// <summary>
    /// The order in which the components of a head are read, so that those that are rotated together are half a head apart: the first
    /// halves of the rotated pairs, half of the others, then the second halves. Attention scores do not depend on the order.
    /// </summary>
    internal static IEnumerable<int> PairOrder(int headDim, int rotaryDim)
    {
        var (pairs, others) = (rotaryDim / 2, (headDim - rotaryDim) / 2);
        return Enumerable.Range(0, pairs).Concat(Enumerable.Range(rotaryDim, others))
            .Concat(Enumerable.Range(pairs, pairs)).Concat(Enumerable.Range(rotaryDim + others, others));
    }

    // llama3: the factor stretches long wavelengths, short ones stay, and those between are blended.
    private static double Scale(double frequency, int pair, RopeScaling scaling, ModelConfig config)
    {
        if (scaling.Type == "linear") return frequency / scaling.Factor;
        if (scaling.Type == "yarn") return Yarn(frequency, pair, scaling, config);
        if (scaling.Divisors is { } divisors) return frequency / divisors[pair];
        var wavelength = 2 * Math.PI / frequency;
        if (wavelength < scaling.OriginalContext / scaling.HighFrequencyFactor) return frequency;
        if (wavelength > scaling.OriginalContext / scaling.LowFrequencyFactor) return frequency / scaling.Factor;
        var range = scaling.HighFrequencyFactor - scaling.LowFrequencyFactor;
        var smooth = (scaling.OriginalContext / wavelength - scaling.LowFrequencyFactor) / range;
        return (1 - smooth) * frequency / scaling.Factor + smooth * frequency;
    }

    // yarn: pairs that turn more than beta_fast times within the original context stay, those that turn less than beta_slow times are
    // divided, and between them there is a ramp over the numbers of the pairs.
    private static double Yarn(double frequency, int pair, RopeScaling scaling, ModelConfig config)
    {
        var rotated = config.RotaryDim ?? config.HeadDim;
        double PairThatTurns(double times) =>
            rotated * Math.Log(scaling.OriginalContext / (times * 2 * Math.PI)) / (2 * Math.Log(config.RopeTheta));
        var (first, last) = (PairThatTurns(scaling.HighFrequencyFactor), PairThatTurns(scaling.LowFrequencyFactor));
        if (scaling.RoundsRamp) (first, last) = (Math.Floor(first), Math.Ceiling(last));
        (first, last) = (Math.Max(first, 0), Math.Min(last, rotated - 1));
        if (first == last) last += 0.001;
        var divided = Math.Clamp((pair - first) / (last - first), 0, 1);
        return frequency / scaling.Factor * divided + frequency * (1 - divided);
    }
}
