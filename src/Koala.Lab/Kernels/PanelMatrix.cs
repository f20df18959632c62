using System.Runtime.Intrinsics;

namespace Koala.Lab.Kernels;

/// <summary>The type in which a <see cref="PanelMatrix"/> keeps its weights. Arithmetic is fp32 with each of them.</summary>
internal enum PanelType
{
    /// <summary>32 bits.</summary>
    Float32,

    /// <summary>The upper 16 bits of fp32.</summary>
    BFloat16,

    /// <summary>IEEE's 16 bits.</summary>
    Float16,

    /// <summary>Codes of 4 or 8 bits, with scales and offsets for groups of them.</summary>
    Quantized,
}

/// <summary>The weights of a linear layer, [outputs, inputs], laid out so that a step reads each of them once, in order.</summary>
/// <remarks>
/// A panel is 32 outputs with all of their inputs, input by input. A step multiplies it by up to twelve rows of activations before it goes
/// on, so reading the weights costs the same for one row and for twelve.
/// </remarks>
/// <param name="type">The type of the weights.</param>
/// <param name="outputs">The number of outputs.</param>
/// <param name="inputs">The number of inputs.</param>
internal abstract unsafe class PanelMatrix(PanelType type, int outputs, int inputs) : IDisposable
{
    /// <summary>The outputs of a panel.</summary>
    public const int PanelWidth = 32;

    /// <summary>The numbers of a vector of this processor.</summary>
    protected static readonly int VectorWidth = Vector512.IsHardwareAccelerated ? 16 : Vector256.IsHardwareAccelerated ? 8 : 4;

    /// <summary>The largest number of rows of activations that are multiplied at once.</summary>
    public static int MaxRows => Vector512.IsHardwareAccelerated ? Vector512Unit.MaxRows
        : Vector256.IsHardwareAccelerated ? Vector256Unit.MaxRows : Vector128Unit.MaxRows;

    /// <summary>The type of the weights.</summary>
    public PanelType Type => type;

    /// <summary>The number of outputs.</summary>
    public int Outputs => outputs;

    /// <summary>The number of inputs.</summary>
    public int Inputs => inputs;

    /// <summary>The number of panels; the last one may have outputs that nobody asks for.</summary>
    public int Panels => (outputs + PanelWidth - 1) / PanelWidth;

    /// <summary>The bytes of the weights.</summary>
    public abstract long Bytes { get; }

    /// <summary>The number of panels that are multiplied at once by so many rows. Work is best divided into multiples of it.</summary>
    public static int PanelsAtOnce(int rows) => Math.Max(1, VectorsAtOnce(rows) * VectorWidth / PanelWidth);

    /// <summary>The smallest type that holds all of these numbers as they are.</summary>
    public static PanelType SmallestType(float* weights, long count)
    {
        var used = Vector256<uint>.Zero;
        var i = 0L;
        for (; i <= count - Vector256<uint>.Count; i += Vector256<uint>.Count) used |= Vector256.Load((uint*)weights + i);
        var bits = 0u;
        for (var lane = 0; lane < Vector256<uint>.Count; lane++) bits |= used[lane];
        for (; i < count; i++) bits |= ((uint*)weights)[i];
        if ((bits & 0xFFFF) == 0) return PanelType.BFloat16;
        // The last 13 bits of an fp32 number are more than fp16 has; its exponent may be too.
        return (bits & 0x1FFF) == 0 && AreHalves(weights, count) ? PanelType.Float16 : PanelType.Float32;
    }

    /// <summary>The results of some panels: y[row, output] = Σ x[row, k]·w[output, k].</summary>
    /// <param name="x">The rows.</param>
    /// <param name="y">The result of the first row and output.</param>
    /// <param name="stride">The distance between rows of results.</param>
    /// <param name="firstPanel">The first panel.</param>
    /// <param name="endPanel">The panel after the last one.</param>
    public abstract void Multiply(PackedRows x, float* y, long stride, int firstPanel, int endPanel);

    /// <summary>Copies the weights of an output, widened to fp32.</summary>
    /// <param name="output">The output, which is a row of the matrix.</param>
    /// <param name="to">Room for as many numbers as there are inputs.</param>
    public abstract void CopyRow(int output, float* to);

    public abstract void Dispose();

    private static bool AreHalves(float* numbers, long count)
    {
        for (var i = 0L; i < count; i++)
            if (!float.IsFinite(numbers[i]) || (float)(Half)numbers[i] != numbers[i]) return false;
        return true;
    }

    /// <summary>
    /// The number of vectors of outputs that a tile for so many rows covers: eight sums under way keep the multipliers busy.
    /// </summary>
    protected static int VectorsAtOnce(int rows) => rows switch { 1 => 8, 2 => 4, _ => 2 };
}
