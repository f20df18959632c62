using Koala.Lab.Checkpoints;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Checkpoints;

public sealed class StateDictTests
{
    [Fact]
    public void Tensors_keep_their_order_and_are_found_by_index_and_name()
    {
        using var scope = NewDisposeScope();
        var (a, b) = (zeros(1), zeros(2));
        StateDict tensors = [new("b", b), new("a", a)];
        Assert.Equal(["b", "a"], tensors.Select(t => t.Key));
        Assert.Equal(2, tensors.Count);
        Assert.Equal("a", tensors[1].Key);
        Assert.Same(a, tensors[1].Value);
        Assert.Same(b, tensors["b"]);
        Assert.Same(a, tensors.Find("a"));
        Assert.Null(tensors.Find("c"));
        Assert.Throws<KeyNotFoundException>(() => tensors["c"]);
    }

    [Fact]
    public void A_name_that_occurs_twice_is_refused()
    {
        using var x = zeros(1);
        StateDict Twice() => [new("x", x), new("x", x)];
        Assert.Throws<ArgumentException>(Twice);
    }

    [Fact]
    public void Disposed_it_frees_its_tensors()
    {
        var x = zeros(1);
        StateDict tensors = [new("x", x)];
        tensors.Dispose();
        Assert.True(x.IsInvalid);
    }
}
