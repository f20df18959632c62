using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>The memory of tensors on a CPU, for kernels that libtorch does not run.</summary>
internal static unsafe class HostMemory
{
    /// <summary>The address of the first number of a contiguous fp32 tensor. It is valid while the tensor lives.</summary>
    /// <exception cref="ArgumentException">The tensor is not contiguous, or has another dtype or device.</exception>
    public static float* Floats(Tensor tensor) => tensor.dtype == ScalarType.Float32
        ? (float*)Bytes(tensor)
        : throw new ArgumentException("It is no fp32 tensor.", nameof(tensor));

    /// <summary>The address of the first byte of a contiguous tensor. It is valid while the tensor lives.</summary>
    /// <exception cref="ArgumentException">The tensor is not contiguous, or has another device.</exception>
    public static byte* Bytes(Tensor tensor)
    {
        if (tensor.device_type != TorchSharp.DeviceType.CPU || !tensor.is_contiguous())
            throw new ArgumentException("It is not a contiguous tensor on a CPU.", nameof(tensor));
        return (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(tensor.bytes));
    }
}
