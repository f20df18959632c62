using Koala.Lab.Checkpoints;
using Koala.Lab.Kernels;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Kernels;

/// <summary>A product y = x·wᵀ of random shape.</summary>
internal sealed unsafe class RandomProduct
{
    public RandomProduct(Random random)
        : this(random, random.Next(1, 201), random.Next(1, 301), random.Next(1, 41))
    {
    }

    public RandomProduct(Random random, int outputs, int inputs, int rows)
    {
        (Outputs, Inputs, Rows, Type) = (outputs, inputs, rows, (PanelType)random.Next(3));
        Weights = Numbers.Random(random, Outputs * Inputs, Type);
        X = Numbers.Random(random, Rows * Inputs, Math.Pow(2, random.Next(-8, 9)));
    }

    private RandomProduct(RandomProduct of, int row)
    {
        (Outputs, Inputs, Rows, Type, Weights) = (of.Outputs, of.Inputs, 1, of.Type, of.Weights);
        X = of.X[(row * Inputs)..((row + 1) * Inputs)];
    }

    public int Outputs { get; }

    public int Inputs { get; }

    public int Rows { get; }

    public PanelType Type { get; }

    public float[] Weights { get; }

    public float[] X { get; }

    public override string ToString() => $"[{Rows},{Inputs}]·[{Inputs},{Outputs}] in {Type}";

    public RandomProduct Row(int row) => new(this, row);

    /// <summary>Packs rows of activations as the crew does.</summary>
    public static void Pack(PackedRows packed, float* x, int rows, int inputs)
    {
        packed.Begin(x, rows, inputs);
        for (var block = 0; block < packed.Blocks; block++) packed.PackBlock(block);
    }

    public PanelMatrix Pack(PanelType type, WorkCrew crew)
    {
        using var weights = new GuardedNumbers(Weights);
        return PanelPacking.TryPack([StoredMatrix.InMemory(ScalarType.Float32, Outputs, Inputs, weights.Address)], type, crew)!;
    }

    /// <summary>Multiplies panels in groups of random size, into rows of results at a random distance.</summary>
    public float[] Multiply(PanelMatrix matrix, PackedRows packed, Random random)
    {
        var gap = random.Next(2) * random.Next(50);
        var stride = Outputs + gap;
        using var x = new GuardedNumbers(X);
        using var y = new GuardedNumbers(Rows * stride);
        Pack(packed, x.Address, Rows, Inputs);
        for (int panel = 0, end; panel < matrix.Panels; panel = end)
        {
            end = Math.Min(matrix.Panels, panel + random.Next(1, 9));
            matrix.Multiply(packed, y.Address, stride, panel, end);
        }
        y.AssertGuards(ToString());
        var result = new float[Rows * Outputs];
        for (var row = 0; row < Rows; row++)
        {
            var made = y.Numbers.Slice(row * stride, stride);
            made[..Outputs].CopyTo(result.AsSpan(row * Outputs));
            foreach (var number in made[Outputs..])
                if (!GuardedNumbers.IsGuard(number)) Assert.Fail($"{this}: written behind row {row}");
        }
        return result;
    }

    /// <summary>Asserts that each result is one chain of multiply-adds over the inputs.</summary>
    public void AssertChains(float[] y)
    {
        var expected = new float[y.Length];
        for (var row = 0; row < Rows; row++)
            for (var output = 0; output < Outputs; output++)
            {
                var x = X.AsSpan(row * Inputs, Inputs);
                var w = Weights.AsSpan(output * Inputs, Inputs);
                var sum = 0f;
                for (var k = 0; k < Inputs; k++) sum = Numbers.MultiplyAdd(w[k], x[k], sum);
                expected[row * Outputs + output] = sum;
            }
        Numbers.AssertSameBits(expected, y, ToString());
    }

    /// <summary>Asserts that each result is near the sum in doubles.</summary>
    public void AssertNearDoubleSums(float[] y)
    {
        // Each of n terms takes part in at most n roundings, so the sum is off by at most n·u/(1 - n·u) of the sum of absolute terms.
        var error = Inputs * Numbers.UnitRoundoff / (1 - Inputs * Numbers.UnitRoundoff);
        for (var row = 0; row < Rows; row++)
            for (var output = 0; output < Outputs; output++)
            {
                var x = X.AsSpan(row * Inputs, Inputs);
                var w = Weights.AsSpan(output * Inputs, Inputs);
                var (sum, size) = (0.0, 0.0);
                for (var k = 0; k < Inputs; k++)
                {
                    var term = (double)w[k] * x[k];
                    sum += term;
                    size += Math.Abs(term);
                }
                Numbers.AssertNear(sum, y[row * Outputs + output], error * size, ToString());
            }
    }
}
