using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using Koala.Lab.Kernels;

namespace Koala.Lab.Tests.Kernels;

/// <summary>Random numbers for kernels, and how their results are compared.</summary>
internal static class Numbers
{
    /// <summary>The largest relative error of a rounding to fp32.</summary>
    public const double UnitRoundoff = 1.0 / (1 << 24);

    /// <summary>Normally distributed numbers.</summary>
    public static float[] Random(Random random, int count, double size = 1)
    {
        var numbers = new float[count];
        for (var i = 0; i < count; i++)
        {
            var radius = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble()));
            numbers[i] = (float)(size * radius * Math.Cos(2 * Math.PI * random.NextDouble()));
        }
        return numbers;
    }

    /// <summary>The same for weights of a type: each is a number of this type.</summary>
    public static float[] Random(Random random, int count, PanelType type)
    {
        var numbers = Random(random, count);
        for (var i = 0; i < count; i++) numbers[i] = Round(numbers[i], type);
        return numbers;
    }

    /// <summary>a·b + c as this processor's vectors compute it: rounded once where it has an instruction for it.</summary>
    public static float MultiplyAdd(float a, float b, float c) =>
        Fma.IsSupported || AdvSimd.IsSupported ? MathF.FusedMultiplyAdd(a, b, c) : a * b + c;

    /// <summary>Asserts that two results have the same bits.</summary>
    public static void AssertSameBits(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual, string what)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (var i = 0; i < expected.Length; i++)
            if (BitConverter.SingleToInt32Bits(expected[i]) != BitConverter.SingleToInt32Bits(actual[i]))
                Assert.Fail($"{what}: number {i} is {actual[i]:R}, not {expected[i]:R}");
    }

    /// <summary>Asserts that a result is as near as rounding allows.</summary>
    public static void AssertNear(double expected, float actual, double allowed, string what)
    {
        // Written so that it fails for NaN.
        if (!(Math.Abs(expected - actual) <= allowed)) Assert.Fail($"{what}: {actual:R} for {expected:R}, {allowed:E2} allowed");
    }

    private static float Round(float number, PanelType type) => type switch
    {
        PanelType.Float32 => number,
        PanelType.BFloat16 => BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(number) & unchecked((int)0xFFFF0000)),
        _ => (float)(Half)number,
    };
}
