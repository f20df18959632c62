using Koala.Lab.Checkpoints;
using Koala.Lab.Kernels;
using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>Rounds matrices to int8: codes from -127 to 127, and a scale in fp16 for each 32 inputs of an output (GGUF's Q8_0).</summary>
/// <remarks>
/// Blocks of 32 rather than a scale for each output: the panels of a CPU widen a group of 32 inputs at a time and take its scale as
/// it comes, so smaller blocks round less and cost nothing. A tensor core takes 16 inputs at a time, two to a block, so a GPU can
/// compute with the same numbers.
/// </remarks>
internal static unsafe class EightBitWeights
{
    private const int Block = 32;
    private const int Most = 127;

    /// <summary>Whether a matrix can be rounded: its number of inputs is a multiple of a block's.</summary>
    public static bool Serve(Tensor weights) => weights.dim() == 2 && weights.shape[1] % Block == 0;

    /// <summary>Rounds a matrix and packs it.</summary>
    /// <param name="weights">The weights, [out,in], finite.</param>
    /// <param name="crew">The threads that share the work.</param>
    public static PanelMatrix Pack(Tensor weights, WorkCrew crew)
    {
        using var scope = NewDisposeScope();
        var wide = weights.detach().to(ScalarType.Float32).contiguous();
        var (outputs, inputs) = ((int)wide.shape[0], (int)wide.shape[1]);
        using var codes = new QuantizedMatrix(outputs, inputs, Block, bits: 8, lowest: 0, hasHalfScales: true);
        var from = (nint)HostMemory.Floats(wide);
        crew.ForEach(outputs, row => Round(new ReadOnlySpan<float>((float*)from + (long)row * inputs, inputs), codes, row));
        return QuantizedPanels.Pack([codes], crew);
    }

    private static void Round(ReadOnlySpan<float> numbers, QuantizedMatrix to, int row)
    {
        var codes = to.CodesOf(row);
        var scales = to.ScalesOf(row);
        to.OffsetsOf(row).Clear();
        for (var block = 0; block < scales.Length; block++)
        {
            var of = numbers.Slice(block * Block, Block);
            var largest = 0f;
            foreach (var number in of) largest = Math.Max(largest, Math.Abs(number));
            // The codes are rounded with the scale that is kept, which is 0 for numbers below fp16's smallest.
            var scale = (float)(Half)(largest / Most);
            scales[block] = scale;
            for (var i = 0; i < Block; i++)
            {
                var code = scale == 0 ? 0 : MathF.Round(of[i] / scale, MidpointRounding.AwayFromZero);
                codes[block * Block + i] = (sbyte)Math.Clamp(code, -Most, Most);
            }
        }
    }
}
