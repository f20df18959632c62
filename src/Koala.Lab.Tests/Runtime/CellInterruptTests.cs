using Koala.Lab.Decoding;
using Koala.Lab.Heads;
using Koala.Lab.Runtime;
using Koala.Lab.Tests.Training;
using Koala.Lab.Training;

namespace Koala.Lab.Tests.Runtime;

public sealed class CellInterruptTests
{
    [Fact]
    public void Training_without_a_token_ends_by_that_of_the_cell()
    {
        using var interrupt = new CancellationTokenSource();
        CellInterrupt.Token = interrupt.Token;
        using var head = DraftHead.Create(TinyModels.Head, ShippedModels.Nano);
        using var trainer = new Trainer(ShippedModels.Nano, head, TinyModels.Data, TinyModels.Options);
        var (steps, saved) = (0, 0);
        Assert.Throws<OperationCanceledException>(() => trainer.Run(_ =>
        {
            if (++steps == 2) interrupt.Cancel();
        }, () => saved++));
        Assert.Equal((2, 1), (steps, saved));
    }

    [Fact]
    public void A_token_of_the_calls_own_comes_first()
    {
        using var interrupt = new CancellationTokenSource();
        using var own = new CancellationTokenSource();
        CellInterrupt.Token = interrupt.Token;
        interrupt.Cancel();
        var decoder = new SpeculativeDecoder(ShippedModels.Nano);
        var options = new GenerationOptions { MaxTokens = 4 };
        Assert.Throws<OperationCanceledException>(() => decoder.Generate([1, 2, 3], options));
        Assert.NotEmpty(decoder.Generate([1, 2, 3], options, cancel: own.Token).Tokens);
    }

    [Fact]
    public async Task The_token_belongs_to_the_flow_that_set_it()
    {
        using var interrupt = new CancellationTokenSource();
        await Task.Run(() => CellInterrupt.Token = interrupt.Token);
        Assert.False(CellInterrupt.Token.CanBeCanceled);
    }
}
