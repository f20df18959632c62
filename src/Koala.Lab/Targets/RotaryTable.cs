using Koala.Lab.Checkpoints;
using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>Rotary position embedding (arXiv 2104.09864), rotating halves as Hugging Face's Llama does, with its linear and llama3 scalings.</summary>
/// <remarks>
/// With x' = x·cos + roll(x, headDim/2)·sin a rotation takes three operations, when the sines of the first half are stored negated.
/// </remarks>
internal sealed class RotaryTable : IDisposable
{
    private readonly Tensor _cos;   // [context, headDim]
    private readonly Tensor _sin;   // [context, headDim], first half negated

    public RotaryTable(ModelConfig config, ScalarType dtype, Device device)
    {
        using var scope = NewDisposeScope();
        var frequencies = Frequencies(config);
        var angles = outer(arange(config.ContextLength, ScalarType.Float32), tensor(frequencies));   // [context, headDim/2]
        var (cos, sin) = (angles.cos(), angles.sin());
        _cos = cat([cos, cos], 1).to(dtype).to(device).DetachFromDisposeScope();
        _sin = cat([-sin, sin], 1).to(dtype).to(device).DetachFromDisposeScope();
    }

    /// <summary>Cosines and signed sines of the positions, [B,T,1,headDim] each.</summary>
    public (Tensor Cos, Tensor Sin) At(Tensor positions, long batch, long count)
    {
        var rows = positions.view(-1);
        return (_cos.index_select(0, rows).view(batch, count, 1, -1), _sin.index_select(0, rows).view(batch, count, 1, -1));
    }

    public void Dispose()
    {
        _cos.Dispose();
        _sin.Dispose();
    }

    /// <summary>Radians a position, for each of the headDim/2 pairs.</summary>
    internal static float[] Frequencies(ModelConfig config)
    {
        var result = new float[config.HeadDim / 2];
        for (var i = 0; i < result.Length; i++)
        {
            var frequency = 1.0 / Math.Pow(config.RopeTheta, 2.0 * i / config.HeadDim);
            result[i] = (float)(config.RopeScaling is { } scaling ? Scale(frequency, scaling) : frequency);
        }
        return result;
    }

    // llama3: long wavelengths are stretched by the factor, short ones stay, those between are blended.
    private static double Scale(double frequency, RopeScaling scaling)
    {
        if (scaling.Type == "linear") return frequency / scaling.Factor;
        var wavelength = 2 * Math.PI / frequency;
        if (wavelength < scaling.OriginalContext / scaling.HighFrequencyFactor) return frequency;
        if (wavelength > scaling.OriginalContext / scaling.LowFrequencyFactor) return frequency / scaling.Factor;
        var smooth = (scaling.OriginalContext / wavelength - scaling.LowFrequencyFactor) / (scaling.HighFrequencyFactor - scaling.LowFrequencyFactor);
        return (1 - smooth) * frequency / scaling.Factor + smooth * frequency;
    }
}
