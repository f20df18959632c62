using Koala.Lab.Checkpoints;
using Koala.Lab.Kernels;
using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>Copies tensors into the memory of kernels.</summary>
internal static unsafe class PackedTensor
{
    /// <summary>Packs the weights of a linear layer, [out,in], in the smallest type that holds them as they are.</summary>
    public static PanelMatrix Matrix(Tensor weights, WorkCrew crew)
    {
        using var scope = NewDisposeScope();
        var stored = weights.detach().contiguous();
        if (stored.dtype is not (ScalarType.BFloat16 or ScalarType.Float16)) stored = stored.to(ScalarType.Float32);
        return PanelPacking.Pack([StoredMatrix.InMemory(stored.dtype, stored.shape[0], stored.shape[1], HostMemory.Bytes(stored))], crew);
    }

    /// <summary>Copies a row of numbers.</summary>
    public static NativeBuffer Row(Tensor row)
    {
        using var scope = NewDisposeScope();
        var wide = row.detach().to(ScalarType.Float32).contiguous();
        var buffer = new NativeBuffer(wide.numel() * sizeof(float));
        Buffer.MemoryCopy(HostMemory.Floats(wide), buffer.Address, buffer.Bytes, buffer.Bytes);
        return buffer;
    }

    /// <summary>The weights as a tensor, [out,in], fp32.</summary>
    public static Tensor ToTensor(PanelMatrix matrix)
    {
        var result = empty(matrix.Outputs, matrix.Inputs);
        var to = (nint)HostMemory.Floats(result);
        Parallel.For(0, matrix.Outputs, row => matrix.CopyRow(row, (float*)to + (long)row * matrix.Inputs));
        return result;
    }

    /// <summary>A row of numbers as a tensor.</summary>
    public static Tensor ToTensor(NativeBuffer row)
    {
        var result = empty(row.Bytes / sizeof(float));
        Buffer.MemoryCopy(row.Address, HostMemory.Floats(result), row.Bytes, row.Bytes);
        return result;
    }

    /// <summary>Some rows of a matrix, [N,in], fp32.</summary>
    public static Tensor Rows(PanelMatrix matrix, IReadOnlyList<long> rows)
    {
        // Fewer rows are copied in less time than it takes to wake a thread.
        const int RowsPerThread = 256;
        var result = empty(rows.Count, matrix.Inputs);
        var to = (nint)HostMemory.Floats(result);
        Parallel.For(0, (rows.Count + RowsPerThread - 1) / RowsPerThread, part =>
        {
            for (var i = part * RowsPerThread; i < Math.Min(rows.Count, (part + 1) * RowsPerThread); i++)
                matrix.CopyRow((int)rows[i], (float*)to + (long)i * matrix.Inputs);
        });
        return result;
    }
}
