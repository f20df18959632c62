using System.Runtime.InteropServices;

namespace Koala.Lab.Checkpoints;

/// <summary>A matrix of codes that share scales in groups along each row: a number is code · scale + offset, rounded after each.</summary>
/// <param name="rows">The number of rows.</param>
/// <param name="columns">The number of columns, a multiple of the group.</param>
/// <param name="group">The number of codes that share a scale and an offset.</param>
/// <param name="bits">The bits of a code: 4, 5, 6 or 8.</param>
/// <param name="lowest">
/// The lowest code, a power of two with a minus where it is not 0; offsets are then 0. It is 0 for codes of 8 bits, which have a sign.
/// </param>
/// <param name="hasHalfScales">Whether scales and offsets are fp16 numbers.</param>
/// <remarks>
/// The memory lies outside the garbage collector's heap: a model has hundreds of such matrices, each of which is only needed until it is
/// packed, and what the collector has not noticed yet would add up to more than the model.
/// </remarks>
internal sealed unsafe class QuantizedMatrix(int rows, int columns, int group, int bits, int lowest, bool hasHalfScales) : IDisposable
{
    private readonly int _groups = columns / group;
    private sbyte* _codes = (sbyte*)NativeMemory.Alloc((nuint)rows * (nuint)columns);
    private float* _scales = (float*)NativeMemory.Alloc((nuint)rows * (nuint)(columns / group), sizeof(float));
    private float* _offsets = (float*)NativeMemory.Alloc((nuint)rows * (nuint)(columns / group), sizeof(float));

    ~QuantizedMatrix() => Free();

    public int Rows => rows;

    public int Columns => columns;

    public int Group => group;

    public int Bits => bits;

    public int Lowest => lowest;

    public bool HasHalfScales => hasHalfScales;

    /// <summary>Whether all scales and offsets are finite. Every row must have been written.</summary>
    public bool IsFinite => Enumerable.Range(0, rows).All(row => AreFinite(ScalesOf(row)) && AreFinite(OffsetsOf(row)));

    /// <summary>The codes of a row.</summary>
    public Span<sbyte> CodesOf(int row) => new(Checked(_codes) + (long)row * columns, columns);

    /// <summary>The scales of a row's groups.</summary>
    public Span<float> ScalesOf(int row) => new((float*)Checked(_scales) + (long)row * _groups, _groups);

    /// <summary>The offsets of a row's groups.</summary>
    public Span<float> OffsetsOf(int row) => new((float*)Checked(_offsets) + (long)row * _groups, _groups);

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private static bool AreFinite(ReadOnlySpan<float> numbers)
    {
        foreach (var number in numbers)
            if (!float.IsFinite(number)) return false;
        return true;
    }

    private sbyte* Checked(void* memory)
    {
        ObjectDisposedException.ThrowIf(memory is null, this);
        return (sbyte*)memory;
    }

    private void Free()
    {
        NativeMemory.Free(_codes);
        NativeMemory.Free(_scales);
        NativeMemory.Free(_offsets);
        _codes = null;
        _scales = _offsets = null;
    }
}
