using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Koala.Lab.Runtime;
using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints;

/// <summary>
/// A source of weights that a model can be computed with: reading refuses numbers that are not finite in the dtype that is wanted, and
/// whole numbers where weights are expected. Otherwise such a model would answer something, and a head would seem to accept nothing.
/// </summary>
/// <param name="source">The file or files. The caller owns it.</param>
internal sealed class CheckedTensors(ITensorSource source) : ITensorSource, IStoredMatrices
{
    /// <inheritdoc/>
    public string Path => source.Path;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorInfo> Tensors => source.Tensors;

    /// <inheritdoc/>
    /// <exception cref="KoalaException">
    /// There is no tensor of that name, the file can no longer be read, or the numbers are no weights.
    /// </exception>
    public Tensor Read(string name, ScalarType dtype, Device device)
    {
        using var scope = NewDisposeScope();
        if (!Dtypes.IsFloatingPoint(dtype)) return source.Read(name, dtype, device).MoveToOuterDisposeScope();
        if (Tensors.TryGetValue(name, out var info) && info.Dtype is { } stored && !Dtypes.IsFloatingPoint(stored))
            throw new KoalaException(Where(name),
                $"holds whole numbers ({info.Stored}), but weights are expected: they are quantized, and their scales are not read",
                "use the model's unquantized weights");
        var tensor = source.Read(name, dtype, device);
        if (!IsFinite(tensor)) throw Fault(name, dtype);
        return tensor.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>Its rows are refused too if a number in them is not finite.</remarks>
    public StoredMatrix? Stored(string name)
    {
        if (StoredMatrix.Find(source, name) is not { } stored) return null;
        return stored with
        {
            Fill = (first, rows) =>
            {
                stored.Fill(first, rows);
                if (!AreFinite(rows, stored.Dtype)) throw Fault(name, stored.Dtype);
            },
        };
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }

    // A sum takes a fraction of the time of a test of every number, but it may overflow.
    private static bool IsFinite(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        return double.IsFinite(tensor.sum().to(ScalarType.Float64).item<double>()) || tensor.isfinite().all().item<bool>();
    }

    // Numbers that are not finite have all bits of the exponent.
    private static bool AreFinite(ReadOnlySpan<byte> numbers, ScalarType dtype) => dtype switch
    {
        ScalarType.Float32 => NoneHasAll(MemoryMarshal.Cast<byte, uint>(numbers), 0x7F80_0000u),
        ScalarType.BFloat16 => NoneHasAll<ushort>(MemoryMarshal.Cast<byte, ushort>(numbers), 0x7F80),
        _ => NoneHasAll<ushort>(MemoryMarshal.Cast<byte, ushort>(numbers), 0x7C00),
    };

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static bool NoneHasAll<T>(ReadOnlySpan<T> numbers, T bits) where T : unmanaged, IBinaryInteger<T>
    {
        var all = new Vector<T>(bits);
        for (; numbers.Length >= Vector<T>.Count; numbers = numbers[Vector<T>.Count..])
            if (Vector.EqualsAny(new Vector<T>(numbers) & all, all)) return false;
        foreach (var number in numbers)
            if ((number & bits) == bits) return false;
        return true;
    }

    private KoalaException Fault(string name, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        var exact = source.Read(name, ScalarType.Float64, CPU);
        var bad = exact.isfinite().logical_not().sum().item<long>();
        if (bad > 0)
            return new KoalaException(Where(name), $"has {bad} of {exact.numel()} weights that are not finite (NaN or infinity)",
                "get the file again, or use another model");
        var largest = exact.abs().max().item<double>();
        return new KoalaException(Where(name), $"has weights as large as {largest:0.###E+0}, beyond the range of {Dtypes.Name(dtype)}",
            "use another model");
    }

    private string Where(string name) => $"{Path}, tensor '{MessageText.Text(name)}'";
}
