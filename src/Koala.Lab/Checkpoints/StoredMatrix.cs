using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints;

/// <summary>A source whose matrices can be read row by row, as the file stores them. Several threads may read at the same time.</summary>
internal interface IStoredMatrices
{
    /// <summary>A matrix as the file stores it; null if it stores none of that name as plain rows of floating-point numbers.</summary>
    StoredMatrix? Stored(string name);
}

/// <summary>A matrix as a file stores it: row after row of fp32, bf16 or fp16 numbers.</summary>
/// <param name="Dtype">The dtype of the numbers.</param>
/// <param name="Rows">The number of rows.</param>
/// <param name="Columns">The number of columns.</param>
/// <param name="Fill">Reads whole rows.</param>
internal sealed record StoredMatrix(ScalarType Dtype, long Rows, long Columns, StoredMatrix.RowReader Fill)
{
    /// <summary>Reads whole rows.</summary>
    /// <param name="first">The first row.</param>
    /// <param name="rows">The memory of the rows.</param>
    /// <exception cref="KoalaException">The file can no longer be read.</exception>
    internal delegate void RowReader(long first, Span<byte> rows);

    /// <summary>Reads bytes of a tensor.</summary>
    /// <param name="at">The first byte, counted from the tensor's first one.</param>
    /// <param name="bytes">The memory of the bytes.</param>
    /// <exception cref="KoalaException">The file can no longer be read.</exception>
    internal delegate void ByteReader(long at, Span<byte> bytes);

    /// <summary>The bytes of a number.</summary>
    public int Size => SizeOf(Dtype);

    /// <summary>The bytes of a row.</summary>
    public long RowBytes => Columns * Size;

    /// <summary>Finds a matrix in any source; null if the source cannot be read by rows, or stores the matrix in another way.</summary>
    public static StoredMatrix? Find(ITensorSource source, string name) => (source as IStoredMatrices)?.Stored(name);

    /// <summary>A matrix of a file of plain numbers; null if the tensor is no matrix, or has another dtype.</summary>
    /// <param name="dtype">The dtype of the numbers in the file.</param>
    /// <param name="shape">The tensor's shape.</param>
    /// <param name="fill">Reads bytes of the tensor.</param>
    public static StoredMatrix? Of(ScalarType dtype, IReadOnlyList<long> shape, ByteReader fill)
    {
        if (shape is not [var rows, var columns]) return null;
        if (dtype is not (ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float16)) return null;
        var rowBytes = columns * SizeOf(dtype);
        return new StoredMatrix(dtype, rows, columns, (first, bytes) => fill(first * rowBytes, bytes));
    }

    /// <summary>A matrix in memory, which must live as long as this object is used.</summary>
    /// <param name="dtype">fp32, bf16 or fp16.</param>
    /// <param name="rows">The number of rows.</param>
    /// <param name="columns">The number of columns.</param>
    /// <param name="numbers">The first number.</param>
    public static unsafe StoredMatrix InMemory(ScalarType dtype, long rows, long columns, void* numbers)
    {
        var address = (nint)numbers;
        return Of(dtype, [rows, columns], (at, bytes) => new ReadOnlySpan<byte>((byte*)address + at, bytes.Length).CopyTo(bytes))
            ?? throw new ArgumentOutOfRangeException(nameof(dtype), dtype, "It is no dtype of weights.");
    }

    private static int SizeOf(ScalarType dtype) => dtype == ScalarType.Float32 ? sizeof(float) : sizeof(ushort);
}
