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
internal sealed class QuantizedMatrix(int rows, int columns, int group, int bits, int lowest, bool hasHalfScales)
{
    private readonly sbyte[] _codes = new sbyte[(long)rows * columns];
    private readonly float[] _scales = new float[(long)rows * columns / group];
    private readonly float[] _offsets = new float[(long)rows * columns / group];

    public int Rows => rows;

    public int Columns => columns;

    public int Group => group;

    public int Bits => bits;

    public int Lowest => lowest;

    public bool HasHalfScales => hasHalfScales;

    /// <summary>Whether all scales and offsets are finite.</summary>
    public bool IsFinite => Array.TrueForAll(_scales, float.IsFinite) && Array.TrueForAll(_offsets, float.IsFinite);

    /// <summary>The codes of a row.</summary>
    public Span<sbyte> CodesOf(int row) => _codes.AsSpan(row * columns, columns);

    /// <summary>The scales of a row's groups.</summary>
    public Span<float> ScalesOf(int row) => _scales.AsSpan(row * (columns / group), columns / group);

    /// <summary>The offsets of a row's groups.</summary>
    public Span<float> OffsetsOf(int row) => _offsets.AsSpan(row * (columns / group), columns / group);
}
