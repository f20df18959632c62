using Koala.Lab.Kernels;

namespace Koala.Lab.Tests.Kernels;

/// <summary>What lies between products, for rows of all widths, against doubles.</summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
[Trait(PromptSample.Category, PromptSample.Sampled)]
public sealed unsafe class RowKernelsTests
{
    private const double U = Numbers.UnitRoundoff;
    private const float Epsilon = 1e-5f;

    private static readonly float[] s_gates = [0, -0f, 1000, -1000, 1e38f, -1e38f, 1e-38f, -88, 88, -104];

    public static TheoryData<bool> Weights => [true, false];

    [Theory, MemberData(nameof(Weights))]
    public void Norm_is_near_that_of_doubles(bool weighted) => ForWidths((random, width) =>
    {
        var (x, weight) = (Numbers.Random(random, width, Math.Pow(2, random.Next(-12, 13))), Numbers.Random(random, width));
        using var row = new GuardedNumbers(x);
        using var weights = new GuardedNumbers(weight);
        using var y = new GuardedNumbers(width);
        RowKernels.Norm(row.Address, weighted ? weights.Address : null, Epsilon, width, y.Address);
        Numbers.AssertSameBits(x, row.Numbers, $"the row of width {width}");
        var root = Math.Sqrt(x.Sum(number => (double)number * number) / width + Epsilon);
        for (var i = 0; i < width; i++)
        {
            var expected = x[i] / root * (weighted ? weight[i] : 1);
            // Squares are all positive, so their sum rounds by at most a unit per term; the root halves that.
            Numbers.AssertNear(expected, y.Numbers[i], (width / 2.0 + 8) * U * Math.Abs(expected), $"number {i} of {width}");
        }
        RowKernels.Norm(row.Address, weighted ? weights.Address : null, Epsilon, width, row.Address);
        Numbers.AssertSameBits(y.Numbers, row.Numbers, $"in place, width {width}");
        y.AssertGuards($"width {width}");
        row.AssertGuards($"in place, width {width}");
    });

    [Fact]
    public void A_norm_of_zeros_is_zero()
    {
        for (var width = 1; width <= 200; width++)
        {
            using var row = new GuardedNumbers(new float[width]);
            RowKernels.Norm(row.Address, null, Epsilon, width, row.Address);
            Numbers.AssertSameBits(new float[width], row.Numbers, $"width {width}");
        }
    }

    [Fact]
    public void Gate_is_near_that_of_doubles_whatever_the_place_of_a_number() => ForWidths((random, width) =>
    {
        var (gate, up) = (Numbers.Random(random, width, Math.Pow(2, random.Next(-6, 7))), Numbers.Random(random, width));
        gate[random.Next(width)] = s_gates[random.Next(s_gates.Length)];
        var result = Gate(gate, up);
        for (var i = 0; i < width; i++)
        {
            var expected = gate[i] / (1 + Math.Exp(-(double)gate[i])) * up[i];
            // The exponential function rounds by up to two units in the last place; where it overflows, the result is below 1e-35.
            Numbers.AssertNear(expected, result[i], 10 * U * Math.Abs(expected) + 1e-35 * Math.Abs(up[i]), $"number {i} of {width}");
        }
        var split = random.Next(width);
        float[] parts = [.. Gate(gate[..split], up[..split]), .. Gate(gate[split..], up[split..])];
        Numbers.AssertSameBits(result, parts, $"width {width}, in two parts");
    });

    [Fact]
    public void Add_rounds_each_sum_once() => ForWidths((random, width) =>
    {
        var (x, y) = (Numbers.Random(random, width), Numbers.Random(random, width, Math.Pow(2, random.Next(-20, 21))));
        using var sum = new GuardedNumbers(x);
        using var added = new GuardedNumbers(y);
        RowKernels.Add(sum.Address, added.Address, width);
        Numbers.AssertSameBits([.. x.Zip(y, (a, b) => (float)((double)a + b))], sum.Numbers, $"width {width}");
        sum.AssertGuards($"width {width}");
    });

    [Fact]
    public void Rotate_is_near_that_of_doubles() => ForWidths((random, width) =>
    {
        var half = (width + 1) / 2;
        var x = Numbers.Random(random, 2 * half);
        float[] angles = [.. Enumerable.Range(0, half).Select(_ => (float)(random.NextDouble() * 100))];
        float[] cos = [.. angles.Select(MathF.Cos)], sin = [.. angles.Select(MathF.Sin)];
        using var head = new GuardedNumbers(x);
        using var cosines = new GuardedNumbers(cos);
        using var sines = new GuardedNumbers(sin);
        RowKernels.Rotate(head.Address, cosines.Address, sines.Address, half);
        for (var i = 0; i < half; i++)
        {
            var (a, b, c, s) = ((double)x[i], (double)x[half + i], cos[i], sin[i]);
            Numbers.AssertNear(a * c - b * s, head.Numbers[i], 3 * U * (Math.Abs(a * c) + Math.Abs(b * s)), $"number {i} of {half}");
            Numbers.AssertNear(b * c + a * s, head.Numbers[half + i], 3 * U * (Math.Abs(b * c) + Math.Abs(a * s)), $"number {i} of {half}");
        }
        head.AssertGuards($"half {half}");
    });

    [Fact]
    public void Max_is_the_largest_number() => ForWidths((random, width) =>
    {
        var x = Numbers.Random(random, width);
        // Ties, and now and then infinities and a row of negative numbers only.
        for (var i = 0; i < width; i++)
            if (random.Next(3) == 0) x[i] = x[random.Next(width)];
        if (random.Next(4) == 0) x[random.Next(width)] = float.NegativeInfinity;
        if (random.Next(4) == 0) x[random.Next(width)] = float.PositiveInfinity;
        if (random.Next(4) == 0) x = [.. x.Select(number => -Math.Abs(number))];
        Assert.Equal(x.Max(), Max(x));
        x[random.Next(width)] = float.NaN;
        Assert.Equal(float.NaN, Max(x));
        // Of zeros the positive one is the largest.
        Array.Fill(x, -0f);
        Assert.True(float.IsNegative(Max(x)));
        x[random.Next(width)] = 0;
        Assert.False(float.IsNegative(Max(x)));
        Array.Fill(x, float.NegativeInfinity);
        Assert.Equal(float.NegativeInfinity, Max(x));
    });

    // Each kernel has a case per width in `dotnet test`, and five in docs/thorough.sh.
    private static void ForWidths(Action<Random, int> test)
    {
        var random = new Random(1);
        for (var i = 0; i < PromptSample.Count(1000, 200); i++) test(random, 1 + i % 200);
    }

    private static float[] Gate(float[] gate, float[] up)
    {
        using var gates = new GuardedNumbers(gate);
        using var ups = new GuardedNumbers(up);
        using var y = new GuardedNumbers(gate.Length);
        RowKernels.Gate(gates.Address, ups.Address, gate.Length, y.Address);
        y.AssertGuards($"width {gate.Length}");
        return y.Numbers.ToArray();
    }

    private static float Max(float[] row)
    {
        using var numbers = new GuardedNumbers(row);
        return RowKernels.Max(numbers.Numbers);
    }
}
