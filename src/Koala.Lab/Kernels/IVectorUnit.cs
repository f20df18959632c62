namespace Koala.Lab.Kernels;

/// <summary>The vector instructions that a kernel needs, for one width of vectors. Kernels are written once, over this.</summary>
/// <remarks>
/// The compiler makes one version of each kernel for every unit, in which these calls are single instructions. A number is computed in
/// its own lane by the same operations whatever the width, so units differ only where a kernel adds up lanes.
/// </remarks>
/// <typeparam name="TVector">A vector of fp32 numbers.</typeparam>
internal unsafe interface IVectorUnit<TVector> where TVector : unmanaged
{
    /// <summary>The numbers per vector.</summary>
    static abstract int Width { get; }

    /// <summary>The largest number of rows of activations whose sums over two vectors of outputs fit into registers.</summary>
    static abstract int MaxRows { get; }

    static abstract TVector Zero { get; }

    static abstract TVector Broadcast(float value);

    static abstract TVector Load(float* from);

    static abstract void Store(TVector value, float* to);

    /// <summary>a·b + c, rounded once where the processor has an instruction for it, and otherwise twice.</summary>
    static abstract TVector MultiplyAdd(TVector a, TVector b, TVector c);

    static abstract TVector Add(TVector a, TVector b);

    static abstract TVector Subtract(TVector a, TVector b);

    static abstract TVector Multiply(TVector a, TVector b);

    static abstract TVector Divide(TVector a, TVector b);

    static abstract TVector Max(TVector a, TVector b);

    static abstract TVector Exp(TVector a);

    /// <summary>The sum of the lanes, always in the same order.</summary>
    static abstract float Sum(TVector a);

    /// <summary>The largest lane.</summary>
    static abstract float Max(TVector a);

    /// <summary>Converts some bits of each 32-bit lane.</summary>
    static abstract TVector Bits(byte* from, int shift, int mask);

    /// <summary>Converts some bits of each 32-bit lane, with some bits of other lanes in front of them, from bit 4 on.</summary>
    static abstract TVector Bits(byte* from, int shift, int mask, byte* upper, int upperShift, int upperMask);

    /// <summary>Converts one of the four signed bytes of each 32-bit lane.</summary>
    static abstract TVector SignedByte(byte* from, int number);

    /// <summary>Widens the lower of two bf16 numbers in each 32-bit lane.</summary>
    static abstract TVector LowBFloat16(byte* from);

    /// <summary>Widens the upper of two bf16 numbers in each 32-bit lane.</summary>
    static abstract TVector HighBFloat16(byte* from);

    /// <summary>Widens the lower of two finite fp16 numbers in each 32-bit lane.</summary>
    static abstract TVector LowFloat16(byte* from);

    /// <summary>Widens the upper of two finite fp16 numbers in each 32-bit lane.</summary>
    static abstract TVector HighFloat16(byte* from);
}
