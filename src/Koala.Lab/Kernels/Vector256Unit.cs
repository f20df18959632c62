using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Koala.Lab.Kernels;

/// <summary>AVX2 with FMA: 16 registers of 8 numbers.</summary>
internal readonly unsafe struct Vector256Unit : IVectorUnit<Vector256<float>>
{
    // An fp16 number's exponent and fraction, moved to their places in an fp32 number, stand for a number 2^112 times too small.
    private static readonly Vector256<int> s_signAndValue = Vector256.Create(unchecked((int)0x8FFFE000));
    private static readonly Vector256<float> s_scale = Vector256.Create(BitConverter.Int32BitsToSingle((127 + 112) << 23));

    public static int Width => 8;

    public static int MaxRows => 6;

    public static Vector256<float> Zero => Vector256<float>.Zero;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Broadcast(float value) => Vector256.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load(float* from) => Vector256.Load(from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector256<float> value, float* to) => value.Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> MultiplyAdd(Vector256<float> a, Vector256<float> b, Vector256<float> c) =>
        Vector256.FusedMultiplyAdd(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Add(Vector256<float> a, Vector256<float> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Subtract(Vector256<float> a, Vector256<float> b) => a - b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Multiply(Vector256<float> a, Vector256<float> b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Divide(Vector256<float> a, Vector256<float> b) => a / b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Max(Vector256<float> a, Vector256<float> b) => Vector256.Max(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Exp(Vector256<float> a) => Vector256.Exp(a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector256<float> a) => Vector128.Sum(a.GetLower() + a.GetUpper());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Max(Vector256<float> a) => MaxOf(a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Bits(byte* from, int shift, int mask) =>
        Vector256.ConvertToSingle((Vector256.Load((int*)from) >>> shift) & Vector256.Create(mask));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Bits(byte* from, int shift, int mask, byte* upper, int upperShift, int upperMask) =>
        Vector256.ConvertToSingle(((Vector256.Load((int*)from) >>> shift) & Vector256.Create(mask))
            | (((Vector256.Load((int*)upper) >>> upperShift) & Vector256.Create(upperMask)) << 4));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> SignedByte(byte* from, int number) =>
        Vector256.ConvertToSingle((Vector256.Load((int*)from) << (24 - 8 * number)) >> 24);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> LowBFloat16(byte* from) => (Vector256.Load((uint*)from) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> HighBFloat16(byte* from) => (Vector256.Load((uint*)from) & Vector256.Create(0xFFFF0000u)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> LowFloat16(byte* from) => Widen(Vector256.Load((int*)from) << 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> HighFloat16(byte* from) => Widen(Vector256.Load((int*)from));

    /// <summary>The largest lane.</summary>
    internal static float MaxOf(Vector256<float> a) => Vector128Unit.MaxOf(Vector128.Max(a.GetLower(), a.GetUpper()));

    // The shift carries the sign along; what it leaves between sign and exponent is masked.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Widen(Vector256<int> upper) => ((upper >> 3) & s_signAndValue).AsSingle() * s_scale;
}
