using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Koala.Lab.Kernels;

/// <summary>What every processor with .NET's vectors has: 4 numbers, fused where the processor can.</summary>
internal readonly unsafe struct Vector128Unit : IVectorUnit<Vector128<float>>
{
    // An fp16 number's exponent and fraction, moved to their places in an fp32 number, stand for a number 2^112 times too small.
    private static readonly Vector128<int> s_signAndValue = Vector128.Create(unchecked((int)0x8FFFE000));
    private static readonly Vector128<float> s_scale = Vector128.Create(BitConverter.Int32BitsToSingle((127 + 112) << 23));

    public static int Width => 4;

    public static int MaxRows => 6;

    public static Vector128<float> Zero => Vector128<float>.Zero;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Broadcast(float value) => Vector128.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Load(float* from) => Vector128.Load(from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector128<float> value, float* to) => value.Store(to);

    // Where the processor has no such instruction, a fused one would be computed number by number, some hundred times slower.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> MultiplyAdd(Vector128<float> a, Vector128<float> b, Vector128<float> c) =>
        Vector128.MultiplyAddEstimate(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Add(Vector128<float> a, Vector128<float> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Subtract(Vector128<float> a, Vector128<float> b) => a - b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Multiply(Vector128<float> a, Vector128<float> b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Divide(Vector128<float> a, Vector128<float> b) => a / b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Max(Vector128<float> a, Vector128<float> b) => Vector128.Max(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Exp(Vector128<float> a) => Vector128.Exp(a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector128<float> a) => Vector128.Sum(a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Max(Vector128<float> a) => MaxOf(a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Bits(byte* from, int shift, int mask) =>
        Vector128.ConvertToSingle((Vector128.Load((int*)from) >>> shift) & Vector128.Create(mask));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Bits(byte* from, int shift, int mask, byte* upper, int upperShift, int upperMask) =>
        Vector128.ConvertToSingle(((Vector128.Load((int*)from) >>> shift) & Vector128.Create(mask))
            | (((Vector128.Load((int*)upper) >>> upperShift) & Vector128.Create(upperMask)) << 4));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> SignedByte(byte* from, int number) =>
        Vector128.ConvertToSingle((Vector128.Load((int*)from) << (24 - 8 * number)) >> 24);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> LowBFloat16(byte* from) => (Vector128.Load((uint*)from) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> HighBFloat16(byte* from) => (Vector128.Load((uint*)from) & Vector128.Create(0xFFFF0000u)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> LowFloat16(byte* from) => Widen(Vector128.Load((int*)from) << 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> HighFloat16(byte* from) => Widen(Vector128.Load((int*)from));

    /// <summary>The largest lane.</summary>
    internal static float MaxOf(Vector128<float> a) =>
        MathF.Max(MathF.Max(a.GetElement(0), a.GetElement(1)), MathF.Max(a.GetElement(2), a.GetElement(3)));

    // The shift carries the sign along; what it leaves between sign and exponent is masked.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Widen(Vector128<int> upper) => ((upper >> 3) & s_signAndValue).AsSingle() * s_scale;
}
