using static TorchSharp.torch;

namespace Koala.Lab.Tests.Targets;

/// <summary>
/// The product that the layers and the LM head use pads some row counts; the result is that of the given rows.
/// </summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class ProductTests
{
    [Fact]
    public void Any_number_of_rows_gives_the_rows_given()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3, CPU);
        var w = randn([48, 64], generator: generator);
        for (var rows = 1; rows <= 40; rows++)
        {
            var x = randn([rows, 64], generator: generator);
            var result = ShippedModels.Nano.Model.Product(x, w);
            Assert.Equal([rows, 48], result.shape);
            Assert.True(result.is_contiguous());
            Tolerance.AssertClose(x.matmul(w.t()), result, 64);
        }
    }

    [Fact]
    public void Gradients_reach_the_rows()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(4, CPU);
        var w = randn([48, 64], generator: generator);
        foreach (var rows in (int[])[1, 3, 5, 13])
        {
            var x = randn([rows, 64], generator: generator).requires_grad_(true);
            ShippedModels.Nano.Model.Product(x, w).sum().backward();
            Tolerance.AssertClose(ones(rows, 48).matmul(w), x.grad!, 48);
        }
    }

    /// <summary>
    /// What a training step computes must not depend on the calls on which TorchScript has specialised a function.
    /// </summary>
    [Fact]
    public void With_gradients_it_is_the_plain_product_bit_for_bit_whatever_was_computed_before()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(5, CPU);
        var w = randn([48, 64], generator: generator);
        foreach (var rows in (int[])[0, 1, 3, 6, 20, 33, 100, 33, 20, 6, 3, 1, 0])
        {
            var (x, upstream) = (randn([rows, 64], generator: generator), randn([rows, 48], generator: generator));
            (Tensor Made, Tensor Gradient) Of(Func<Tensor, Tensor> product)
            {
                var input = x.clone().requires_grad_(true);
                var result = product(input);
                (result * upstream).sum().backward();
                return (result.detach(), input.grad!);
            }
            var (plain, ours) =
                (Of(input => nn.functional.linear(input, w)), Of(input => ShippedModels.Nano.Model.Product(input, w)));
            Assert.True(plain.Made.equal(ours.Made).all().item<bool>(), $"{rows} rows");
            Assert.True(plain.Gradient.equal(ours.Gradient).all().item<bool>(), $"gradients of {rows} rows");
        }
    }
}
