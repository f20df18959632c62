using System.Runtime.InteropServices;

namespace Koala.Lab.Kernels;

/// <summary>Memory outside the garbage collector's heap, aligned to a cache line and to every vector.</summary>
/// <remarks>
/// Kernels keep plain addresses into it, so whoever runs one must keep the buffer alive. The memory is freed once, when the buffer is
/// disposed or collected.
/// </remarks>
internal sealed unsafe class NativeBuffer : IDisposable
{
    private const int Alignment = 64;

    private static long s_live;
    private void* _address;

    /// <param name="bytes">The size in bytes; the memory is zeroed.</param>
    public NativeBuffer(long bytes) : this(bytes, isZeroed: true)
    {
    }

    private NativeBuffer(long bytes, bool isZeroed)
    {
        Bytes = bytes;
        _address = NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, Alignment), Alignment);
        if (isZeroed) NativeMemory.Clear(_address, (nuint)bytes);
        Interlocked.Add(ref s_live, bytes);
        GC.AddMemoryPressure(Math.Max(bytes, 1));
    }

    /// <summary>Frees the memory of a buffer that nobody disposed.</summary>
    ~NativeBuffer() => Free();

    /// <summary>
    /// Memory whose user writes every byte of it before it reads one: large memory is touched once, by the threads that fill it.
    /// </summary>
    /// <param name="bytes">The size in bytes.</param>
    public static NativeBuffer ToFill(long bytes) => new(bytes, isZeroed: false);

    /// <summary>The bytes of all buffers of this process that have not been freed.</summary>
    public static long LiveBytes => Interlocked.Read(ref s_live);

    /// <summary>The size in bytes.</summary>
    public long Bytes { get; }

    /// <summary>The first byte.</summary>
    /// <exception cref="ObjectDisposedException">The memory has been freed.</exception>
    public byte* Address
    {
        get
        {
            ObjectDisposedException.ThrowIf(_address is null, this);
            return (byte*)_address;
        }
    }

    /// <summary>The first of the numbers, for a buffer of fp32 numbers.</summary>
    /// <exception cref="ObjectDisposedException">The memory has been freed.</exception>
    public float* Floats => (float*)Address;

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        if (_address is null) return;
        NativeMemory.AlignedFree(_address);
        _address = null;
        Interlocked.Add(ref s_live, -Bytes);
        GC.RemoveMemoryPressure(Math.Max(Bytes, 1));
    }
}
