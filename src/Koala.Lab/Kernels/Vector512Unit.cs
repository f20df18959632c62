using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Koala.Lab.Kernels;

/// <summary>AVX-512: 32 registers of 16 numbers.</summary>
internal readonly unsafe struct Vector512Unit : IVectorUnit<Vector512<float>>
{
    // An fp16 number's exponent and fraction, moved to their places in an fp32 number, stand for a number 2^112 times too small.
    private static readonly Vector512<int> s_signAndValue = Vector512.Create(unchecked((int)0x8FFFE000));
    private static readonly Vector512<float> s_scale = Vector512.Create(BitConverter.Int32BitsToSingle((127 + 112) << 23));

    public static int Width => 16;

    public static int MaxRows => 12;

    public static Vector512<float> Zero => Vector512<float>.Zero;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Broadcast(float value) => Vector512.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(float* from) => Vector512.Load(from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> value, float* to) => value.Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> MultiplyAdd(Vector512<float> a, Vector512<float> b, Vector512<float> c) =>
        Vector512.FusedMultiplyAdd(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Add(Vector512<float> a, Vector512<float> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Subtract(Vector512<float> a, Vector512<float> b) => a - b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Multiply(Vector512<float> a, Vector512<float> b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Divide(Vector512<float> a, Vector512<float> b) => a / b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Max(Vector512<float> a, Vector512<float> b) => Vector512.Max(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Exp(Vector512<float> a) => Vector512.Exp(a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector512<float> a) => Vector256.Sum(a.GetLower() + a.GetUpper());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Max(Vector512<float> a) => Vector256Unit.MaxOf(Vector256.Max(a.GetLower(), a.GetUpper()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Bits(byte* from, int shift, int mask) =>
        Vector512.ConvertToSingle((Vector512.Load((int*)from) >>> shift) & Vector512.Create(mask));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Bits(byte* from, int shift, int mask, byte* upper, int upperShift, int upperMask) =>
        Vector512.ConvertToSingle(((Vector512.Load((int*)from) >>> shift) & Vector512.Create(mask))
            | (((Vector512.Load((int*)upper) >>> upperShift) & Vector512.Create(upperMask)) << 4));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> SignedByte(byte* from, int number) =>
        Vector512.ConvertToSingle((Vector512.Load((int*)from) << (24 - 8 * number)) >> 24);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LowBFloat16(byte* from) => (Vector512.Load((uint*)from) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> HighBFloat16(byte* from) => (Vector512.Load((uint*)from) & Vector512.Create(0xFFFF0000u)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LowFloat16(byte* from) => Widen(Vector512.Load((int*)from) << 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> HighFloat16(byte* from) => Widen(Vector512.Load((int*)from));

    // The shift carries the sign along; what it leaves between sign and exponent is masked.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Widen(Vector512<int> upper) => ((upper >> 3) & s_signAndValue).AsSingle() * s_scale;
}
