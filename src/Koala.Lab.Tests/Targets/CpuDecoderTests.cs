using Koala.Lab.Kernels;
using Koala.Lab.Targets;
using Koala.Lab.Tests.Kernels;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Targets;

/// <summary>Products that a decoder's threads share.</summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
[Trait(PromptSample.Category, PromptSample.Sampled)]
public sealed unsafe class CpuDecoderTests
{
    [Theory, InlineData(1), InlineData(2)]
    public void A_decoder_divides_the_work_among_its_threads_and_changes_no_bit(int threads)
    {
        using var scope = new ThreadsScope(threads);
        using var packed = new PackedRows();
        using var decoder = new CpuDecoder(ShippedModels.Nano.Config);
        var random = new Random(5);
        for (var i = 0; i < PromptSample.Count(1000, 60); i++)
        {
            var product = new RandomProduct(random);
            using var matrix = product.Pack(product.Type, CpuDecoder.Crew);
            var expected = product.Multiply(matrix, packed, random);
            using var x = new GuardedNumbers(product.X);
            using var y = new GuardedNumbers(product.Rows * product.Outputs);
            decoder.Multiply(matrix, x.Address, product.Rows, y.Address);
            Numbers.AssertSameBits(expected, y.Numbers, product.ToString());
            y.AssertGuards(product.ToString());
            using var rows = tensor(product.X, [1, product.Rows, product.Inputs]);
            using var made = decoder.Multiply(matrix, rows);
            Assert.Equal([1, product.Rows, product.Outputs], made.shape);
            Numbers.AssertSameBits(expected, made.data<float>().ToArray(), product.ToString());
        }
    }
}
