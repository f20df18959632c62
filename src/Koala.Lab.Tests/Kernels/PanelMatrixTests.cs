using Koala.Lab.Checkpoints;
using Koala.Lab.Kernels;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Kernels;

/// <summary>
/// Products of random shapes: the result is a chain of multiply-adds over the inputs, whatever the number of rows, the type of the
/// weights, the division of the work and the vectors of this processor.
/// </summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed unsafe class PanelMatrixTests : IDisposable
{
    private readonly WorkCrew _crew = new(2);
    private readonly PackedRows _packed = new();

    public void Dispose()
    {
        _packed.Dispose();
        _crew.Dispose();
    }

    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void Products_are_near_double_sums_and_equal_chains_of_multiply_adds()
    {
        var random = new Random(1);
        for (var i = 0; i < PromptSample.Count(5000, 150); i++)
        {
            var product = new RandomProduct(random);
            using var matrix = product.Pack(product.Type, _crew);
            var y = product.Multiply(matrix, _packed, random);
            product.AssertChains(y);
            product.AssertNearDoubleSums(y);
        }
    }

    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void A_row_has_the_same_bits_alone_and_among_others()
    {
        var random = new Random(2);
        for (var i = 0; i < PromptSample.Count(1000, 60); i++)
        {
            var product = new RandomProduct(random);
            using var matrix = product.Pack(product.Type, _crew);
            var y = product.Multiply(matrix, _packed, random);
            for (var row = 0; row < product.Rows; row++)
                Numbers.AssertSameBits(product.Row(row).Multiply(matrix, _packed, random), y.AsSpan(row * product.Outputs, product.Outputs),
                    $"row {row} of {product}");
        }
    }

    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void Panels_of_16_bits_equal_fp32_panels_of_the_same_numbers()
    {
        var random = new Random(3);
        for (var i = 0; i < PromptSample.Count(1000, 60); i++)
        {
            var product = new RandomProduct(random);
            using var matrix = product.Pack(product.Type, _crew);
            using var wide = product.Pack(PanelType.Float32, _crew);
            Numbers.AssertSameBits(product.Multiply(wide, _packed, random), product.Multiply(matrix, _packed, random), product.ToString());
            if (product.Type != PanelType.Float32) Assert.True(matrix.Bytes * 2 == wide.Bytes, product.ToString());
        }
    }

    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void Rows_of_weights_can_be_copied_back()
    {
        var random = new Random(4);
        for (var i = 0; i < PromptSample.Count(1000, 60); i++)
        {
            var product = new RandomProduct(random);
            using var matrix = product.Pack(product.Type, _crew);
            for (var output = 0; output < product.Outputs; output++)
            {
                using var copy = new GuardedNumbers(product.Inputs);
                matrix.CopyRow(output, copy.Address);
                Numbers.AssertSameBits(product.Weights.AsSpan(output * product.Inputs, product.Inputs), copy.Numbers,
                    $"output {output} of {product}");
                copy.AssertGuards(product.ToString());
            }
        }
    }

    /// <summary>Each number is taken out by a row with a single one, so all tiles that load numbers of this type are tried.</summary>
    [Theory, InlineData(1), InlineData(2), InlineData(5), InlineData(32)]
    public void Products_have_all_finite_fp16_numbers(int rows)
    {
        const int Inputs = 32;
        float[] weights = [.. HalfBits().Select(bits => (float)BitConverter.Int16BitsToHalf(bits))];
        var outputs = weights.Length / Inputs;
        using var memory = new GuardedNumbers(weights);
        using var matrix = PanelPacking.TryPack(
            [StoredMatrix.InMemory(ScalarType.Float32, outputs, Inputs, memory.Address)], PanelType.Float16, _crew)!;
        for (var first = 0; first < Inputs; first += rows)
        {
            var count = Math.Min(rows, Inputs - first);
            using var x = new GuardedNumbers(new float[count * Inputs]);
            for (var row = 0; row < count; row++) x.Numbers[row * Inputs + first + row] = 1;
            using var y = new GuardedNumbers(count * outputs);
            RandomProduct.Pack(_packed, x.Address, count, Inputs);
            matrix.Multiply(_packed, y.Address, outputs, 0, matrix.Panels);
            for (var row = 0; row < count; row++)
                for (var output = 0; output < outputs; output++)
                    Assert.Equal(weights[output * Inputs + first + row], y.Numbers[row * outputs + output]);
        }
    }

    /// <summary>Inputs come in pairs. The one that an odd number lacks must not be what rows before it left in the memory.</summary>
    [Theory, InlineData(1), InlineData(2), InlineData(7)]
    public void Rows_that_were_not_numbers_leave_nothing_behind(int rows)
    {
        var product = new RandomProduct(new Random(7), outputs: 40, inputs: 5, rows);
        using var matrix = product.Pack(product.Type, _crew);
        using var x = new GuardedNumbers(rows * 6);
        RandomProduct.Pack(_packed, x.Address, rows, 6);
        product.AssertChains(product.Multiply(matrix, _packed, new Random(8)));
    }

    [Theory, InlineData(PanelType.BFloat16), InlineData(PanelType.Float16)]
    public void The_smallest_type_has_16_bits_only_if_every_number_is_one_of_its_numbers(object type)
    {
        var random = new Random(6);
        for (var count = 1; count <= 70; count++)
        {
            using var weights = new GuardedNumbers(Numbers.Random(random, count, (PanelType)type));
            // A number that fp16 and bf16 both have decides nothing; this one only fp16 has.
            if ((PanelType)type == PanelType.Float16) weights.Numbers[random.Next(count)] = 1 + MathF.ScaleB(1, -10);
            Assert.Equal((PanelType)type, PanelMatrix.SmallestType(weights.Address, count));
            var place = random.Next(count);
            weights.Numbers[place] = MathF.BitIncrement(weights.Numbers[place]);
            Assert.Equal(PanelType.Float32, PanelMatrix.SmallestType(weights.Address, count));
        }
    }

    /// <summary>Numbers with few bits that lie beyond fp16's range, or are no numbers.</summary>
    [Theory, InlineData(65536f + 64), InlineData(1.0009765625e-20f), InlineData(float.NaN), InlineData(float.PositiveInfinity)]
    public void What_lies_beyond_fp16_is_kept_in_fp32(float number)
    {
        using var weights = new GuardedNumbers([1 + MathF.ScaleB(1, -10), number]);
        Assert.Equal(PanelType.Float32, PanelMatrix.SmallestType(weights.Address, 2));
        using var panels = PanelPacking.TryPack(
            [StoredMatrix.InMemory(ScalarType.Float32, 1, 2, weights.Address)], PanelType.Float32, _crew)!;
        var row = stackalloc float[2];
        panels.CopyRow(0, row);
        Assert.Equal(number, row[1]);
    }

    private static IEnumerable<short> HalfBits() =>
        Enumerable.Range(0, 1 << 16).Select(bits => (short)bits).Where(bits => Half.IsFinite(BitConverter.Int16BitsToHalf(bits)));
}
