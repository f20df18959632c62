using static TorchSharp.torch;

namespace Koala.Lab.Tests.Targets;

/// <summary>The LM head: in kernels without gradients, in libtorch with them.</summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class LogitsTests
{
    [Fact]
    public void Any_number_of_rows_gives_the_rows_given()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3, CPU);
        var target = ShippedModels.Nano;
        for (var rows = 0; rows <= 40; rows++)
        {
            var x = randn([rows, 64], generator: generator);
            var result = target.Logits(x);
            Assert.Equal([rows, target.Config.VocabularySize], result.shape);
            Assert.True(result.is_contiguous());
            if (rows > 0) Tolerance.AssertClose(x.matmul(target.LmHead.t()), result, 64);
        }
        var batch = randn([2, 3, 64], generator: generator);
        Assert.True(target.Logits(batch).view(6, -1).equal(target.Logits(batch.view(6, -1))).all().item<bool>());
        // Rows that do not follow one another in memory.
        var columns = randn([64, 5], generator: generator);
        Assert.True(target.Logits(columns.t()).equal(target.Logits(columns.t().contiguous())).all().item<bool>());
    }

    /// <summary>What a training step computes does not depend on what was computed before.</summary>
    [Fact]
    public void With_gradients_it_is_the_plain_product_bit_for_bit_whatever_was_computed_before()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(5, CPU);
        var target = ShippedModels.Nano;
        foreach (var rows in (int[])[0, 1, 3, 6, 20, 33, 100, 33, 20, 6, 3, 1, 0])
        {
            var x = randn([rows, 64], generator: generator);
            var upstream = randn([rows, target.Config.VocabularySize], generator: generator);
            (Tensor Made, Tensor Gradient) Of(Func<Tensor, Tensor> product)
            {
                var input = x.clone().requires_grad_(true);
                var result = product(input);
                (result * upstream).sum().backward();
                return (result.detach(), input.grad!);
            }
            var (plain, ours) = (Of(input => nn.functional.linear(input, target.LmHead)), Of(target.Logits));
            Assert.True(plain.Made.equal(ours.Made).all().item<bool>(), $"{rows} rows");
            Assert.True(plain.Gradient.equal(ours.Gradient).all().item<bool>(), $"gradients of {rows} rows");
        }
    }
}
