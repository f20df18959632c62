using static TorchSharp.torch;

namespace Koala.Lab.Tests.Targets;

/// <summary>The product that layers and LM head use pads some numbers of rows: what comes out is that of the rows given.</summary>
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
            var made = Shipped.Nano.Product(x, w);
            Assert.Equal([rows, 48], made.shape);
            Assert.True(made.is_contiguous());
            Tolerance.AssertClose(x.matmul(w.t()), made, 64);
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
            Shipped.Nano.Product(x, w).sum().backward();
            Tolerance.AssertClose(ones(rows, 48).matmul(w), x.grad!, 48);
        }
    }
}
