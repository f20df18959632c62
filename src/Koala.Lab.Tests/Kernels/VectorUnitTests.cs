using System.Runtime.Intrinsics;
using Koala.Lab.Kernels;

namespace Koala.Lab.Tests.Kernels;

/// <summary>
/// What the vector units load and reduce, for all three of them on any processor: .NET computes wider vectors than it has by parts.
/// </summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed unsafe class VectorUnitTests
{
    public static TheoryData<string> Units => ["128", "256", "512"];

    [Theory, MemberData(nameof(Units))]
    public void All_finite_fp16_numbers_are_widened_exactly(string unit)
    {
        var count = 0;
        ForAllBits(unit, (bits, _, half) =>
        {
            var expected = BitConverter.Int16BitsToHalf(bits);
            if (!Half.IsFinite(expected)) return;
            count++;
            AssertBits((float)expected, half);
        });
        // Twice, as the lower and as the upper number of a lane.
        Assert.Equal(2 * 63_488, count);
    }

    [Theory, MemberData(nameof(Units))]
    public void All_bf16_numbers_are_widened_exactly(string unit) =>
        ForAllBits(unit, (bits, brain, _) => AssertBits(BitConverter.Int32BitsToSingle(bits << 16), brain));

    /// <summary>Every tile of every unit is the same chain of multiply-adds.</summary>
    [Theory, MemberData(nameof(Units))]
    public void Tiles_of_all_shapes_are_chains_of_multiply_adds(string unit)
    {
        switch (unit)
        {
            case "128":
                TryTiles<Vector128Unit, Vector128<float>>();
                break;
            case "256":
                TryTiles<Vector256Unit, Vector256<float>>();
                break;
            default:
                TryTiles<Vector512Unit, Vector512<float>>();
                break;
        }
    }

    [Theory, MemberData(nameof(Units))]
    public void The_largest_lane_and_the_sum_take_every_lane_once(string unit)
    {
        switch (unit)
        {
            case "128":
                TryReductions<Vector128Unit, Vector128<float>>();
                break;
            case "256":
                TryReductions<Vector256Unit, Vector256<float>>();
                break;
            default:
                TryReductions<Vector512Unit, Vector512<float>>();
                break;
        }
    }

    private static void AssertBits(float expected, float actual)
    {
        if (BitConverter.SingleToInt32Bits(expected) != BitConverter.SingleToInt32Bits(actual))
            Assert.Fail($"{actual:R} for {expected:R}");
    }

    private static void ForAllBits(string unit, Action<short, float, float> check)
    {
        switch (unit)
        {
            case "128":
                ForAllBits<Vector128Unit, Vector128<float>>(check);
                break;
            case "256":
                ForAllBits<Vector256Unit, Vector256<float>>(check);
                break;
            default:
                ForAllBits<Vector512Unit, Vector512<float>>(check);
                break;
        }
    }

    // Calls with each 16 bits, and what the unit makes of them as bf16 and as fp16. The other half of a lane has other bits.
    private static void ForAllBits<TUnit, TVector>(Action<short, float, float> check)
        where TUnit : IVectorUnit<TVector> where TVector : unmanaged
    {
        var lanes = stackalloc short[2 * TUnit.Width];
        var widened = stackalloc float[4 * TUnit.Width];
        for (var bits = 0; bits < 1 << 16; bits += TUnit.Width)
        {
            for (var lane = 0; lane < TUnit.Width; lane++)
            {
                lanes[2 * lane] = (short)(bits + lane);
                lanes[2 * lane + 1] = (short)~(bits + lane);
            }
            TUnit.Store(TUnit.LowBFloat16((byte*)lanes), widened);
            TUnit.Store(TUnit.LowFloat16((byte*)lanes), widened + TUnit.Width);
            TUnit.Store(TUnit.HighBFloat16((byte*)lanes), widened + 2 * TUnit.Width);
            TUnit.Store(TUnit.HighFloat16((byte*)lanes), widened + 3 * TUnit.Width);
            for (var lane = 0; lane < TUnit.Width; lane++)
            {
                check(lanes[2 * lane], widened[lane], widened[TUnit.Width + lane]);
                check(lanes[2 * lane + 1], widened[2 * TUnit.Width + lane], widened[3 * TUnit.Width + lane]);
            }
        }
    }

    private static void TryTiles<TUnit, TVector>() where TUnit : IVectorUnit<TVector> where TVector : unmanaged
    {
        TryTiles<TUnit, TVector, Float32Panels>(PanelType.Float32);
        TryTiles<TUnit, TVector, BFloat16Panels>(PanelType.BFloat16);
        TryTiles<TUnit, TVector, Float16Panels>(PanelType.Float16);
    }

    private static void TryTiles<TUnit, TVector, TFormat>(PanelType type)
        where TUnit : IVectorUnit<TVector> where TVector : unmanaged where TFormat : IPanelFormat
    {
        var random = new Random(1);
        const int Pairs = 9;
        foreach (var (rows, vectors) in
            ((int, int)[])[(1, 8), (1, 4), (1, 2), (2, 4), .. Enumerable.Range(2, TUnit.MaxRows - 1).Select(rows => (rows, 2))])
        {
            var outputs = vectors * TUnit.Width;
            var panels = (outputs + PanelMatrix.PanelWidth - 1) / PanelMatrix.PanelWidth;
            var (weights, x) = (Numbers.Random(random, outputs * 2 * Pairs, type), Numbers.Random(random, rows * 2 * Pairs));
            using var w = new NativeBuffer((long)panels * Pairs * TFormat.PairBytes);
            using var interleaved = new GuardedNumbers(x.Length);
            using var y = new GuardedNumbers(rows * outputs);
            for (var k = 0; k < 2 * Pairs; k++)
            {
                for (var output = 0; output < outputs; output++)
                {
                    var (panel, lane) = (output / PanelMatrix.PanelWidth, output % PanelMatrix.PanelWidth);
                    var pair = w.Address + ((long)panel * Pairs + k / 2) * TFormat.PairBytes;
                    var weight = weights[output * 2 * Pairs + k];
                    if (type == PanelType.Float32) ((float*)pair)[k % 2 * PanelMatrix.PanelWidth + lane] = weight;
                    else if (type == PanelType.Float16) ((Half*)pair)[2 * lane + k % 2] = (Half)weight;
                    else ((short*)pair)[2 * lane + k % 2] = (short)(BitConverter.SingleToInt32Bits(weight) >> 16);
                }
                for (var row = 0; row < rows; row++) interleaved.Numbers[k * rows + row] = x[row * 2 * Pairs + k];
            }
            PanelTiles<TUnit, TVector, TFormat>.Of(rows, vectors)(
                w.Address, (long)Pairs * TFormat.PairBytes, interleaved.Address, Pairs, y.Address, outputs, false);
            var expected = new float[rows * outputs];
            for (var i = 0; i < expected.Length; i++)
            {
                var (row, output) = (i / outputs, i % outputs);
                for (var k = 0; k < 2 * Pairs; k++)
                {
                    var (a, b) = (weights[output * 2 * Pairs + k], x[row * 2 * Pairs + k]);
                    // .NET computes fused operations of wider vectors by software where it has to.
                    expected[i] = TUnit.Width == 4 ? Numbers.MultiplyAdd(a, b, expected[i]) : MathF.FusedMultiplyAdd(a, b, expected[i]);
                }
            }
            Numbers.AssertSameBits(expected, y.Numbers, $"{rows} rows, {vectors} vectors of {TUnit.Width}, {type}");
            y.AssertGuards($"{rows} rows, {vectors} vectors of {TUnit.Width}, {type}");
        }
    }

    private static void TryReductions<TUnit, TVector>() where TUnit : IVectorUnit<TVector> where TVector : unmanaged
    {
        var numbers = stackalloc float[TUnit.Width];
        for (var lane = 0; lane < TUnit.Width; lane++)
        {
            // Powers of two add up exactly in any order.
            for (var i = 0; i < TUnit.Width; i++) numbers[i] = i == lane ? -1 : -(2 << i);
            Assert.Equal(-1, TUnit.Max(TUnit.Load(numbers)));
            Assert.Equal(-(2 << TUnit.Width) + 2 + (2 << lane) - 1, TUnit.Sum(TUnit.Load(numbers)));
            numbers[lane] = float.NaN;
            Assert.True(float.IsNaN(TUnit.Max(TUnit.Load(numbers))));
            for (var i = 0; i < TUnit.Width; i++) numbers[i] = i == lane ? 0 : -0f;
            AssertBits(0, TUnit.Max(TUnit.Load(numbers)));
        }
    }
}
