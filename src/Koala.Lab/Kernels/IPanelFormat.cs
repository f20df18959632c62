using System.Runtime.CompilerServices;

namespace Koala.Lab.Kernels;

/// <summary>How the weights of a <see cref="PanelMatrix"/> are kept. Kernels widen them to fp32 as they load them.</summary>
/// <remarks>
/// Inputs come in pairs k, k+1. In fp32 a pair is 32 weights of k and 32 of k+1; with 16 bits it is 32 lanes of both, k in the lower half.
/// </remarks>
internal unsafe interface IPanelFormat
{
    /// <summary>The bytes of a pair of inputs with 32 outputs.</summary>
    static abstract int PairBytes { get; }

    /// <summary>Weights of the first input of a pair.</summary>
    static abstract TVector First<TUnit, TVector>(byte* from) where TUnit : IVectorUnit<TVector> where TVector : unmanaged;

    /// <summary>Weights of the second input of a pair, for the same outputs.</summary>
    static abstract TVector Second<TUnit, TVector>(byte* from) where TUnit : IVectorUnit<TVector> where TVector : unmanaged;
}

/// <summary>fp32 weights.</summary>
internal readonly unsafe struct Float32Panels : IPanelFormat
{
    public static int PairBytes => 2 * PanelMatrix.PanelWidth * sizeof(float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector First<TUnit, TVector>(byte* from) where TUnit : IVectorUnit<TVector> where TVector : unmanaged =>
        TUnit.Load((float*)from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Second<TUnit, TVector>(byte* from) where TUnit : IVectorUnit<TVector> where TVector : unmanaged =>
        TUnit.Load((float*)from + PanelMatrix.PanelWidth);
}

/// <summary>bf16 weights. A bf16 number is the upper half of the fp32 number, so nothing is lost.</summary>
internal readonly unsafe struct BFloat16Panels : IPanelFormat
{
    public static int PairBytes => PanelMatrix.PanelWidth * sizeof(uint);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector First<TUnit, TVector>(byte* from) where TUnit : IVectorUnit<TVector> where TVector : unmanaged =>
        TUnit.LowBFloat16(from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Second<TUnit, TVector>(byte* from) where TUnit : IVectorUnit<TVector> where TVector : unmanaged =>
        TUnit.HighBFloat16(from);
}

/// <summary>Finite fp16 weights, subnormal ones included. Every one of them is an fp32 number.</summary>
internal readonly unsafe struct Float16Panels : IPanelFormat
{
    public static int PairBytes => PanelMatrix.PanelWidth * sizeof(uint);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector First<TUnit, TVector>(byte* from) where TUnit : IVectorUnit<TVector> where TVector : unmanaged =>
        TUnit.LowFloat16(from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Second<TUnit, TVector>(byte* from) where TUnit : IVectorUnit<TVector> where TVector : unmanaged =>
        TUnit.HighFloat16(from);
}
