namespace Koala.Lab.Kernels;

/// <summary>Memory for fp32 numbers that grows to what the largest step needs; what it held is then lost.</summary>
internal sealed unsafe class ScratchBuffer : IDisposable
{
    private NativeBuffer _buffer = new(0);

    /// <summary>The first number.</summary>
    public float* Floats => _buffer.Floats;

    /// <summary>Makes room for so many numbers, and returns the first.</summary>
    public float* Reserve(long count)
    {
        if (_buffer.Bytes >= count * sizeof(float)) return Floats;
        _buffer.Dispose();
        _buffer = new NativeBuffer(count * sizeof(float));
        return Floats;
    }

    public void Dispose() => _buffer.Dispose();
}
