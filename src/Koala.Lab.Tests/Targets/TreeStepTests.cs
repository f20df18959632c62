using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Targets;

/// <summary>A step over trees says of every node what the path to it says alone, and what is kept stands as if it had been appended.</summary>
public sealed class TreeStepTests
{
    // Two trees of different size: root, and nodes by their parent.
    private static readonly int[][] s_parents = [[-1, 0, 0, 1, 1, 2, 5], [-1, 0, 1, 0]];
    private static readonly int[][] s_tokens = [[9, 40, 41, 42, 43, 44, 45], [12, 50, 51, 52]];
    private static readonly int[][] s_prefixes = [[1, 60, 61, 62, 63, 64], [1, 70, 71]];

    [Theory, InlineData("koala-nano"), InlineData("koala-mini")]
    public void Every_node_sees_its_path_and_nothing_else(string name)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var target = Named(name);
        using var cache = target.NewCache(2, 64);
        target.Append(cache, s_prefixes);
        var hidden = target.Append(cache, s_tokens, s_parents, []).Hidden;
        for (var b = 0; b < 2; b++)
            for (var node = 0; node < s_tokens[b].Length; node++)
                Assert.InRange(Golden.Distance(Alone(target, [.. s_prefixes[b], .. PathTo(b, node).Select(i => s_tokens[b][i])]), hidden[b, node]), 0, 2e-3);
    }

    [Theory, InlineData("koala-nano"), InlineData("koala-mini")]
    public void What_is_kept_stands_as_if_it_had_been_appended(string name)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var target = Named(name);
        using var cache = target.NewCache(2, 64);
        target.Append(cache, s_prefixes);
        int[] starts = [.. cache.Lengths];
        target.Append(cache, s_tokens, s_parents, []);
        // Nodes 2, 5, 6 move to where 1, 2, 3 stood: places are read and written by one another.
        int[][] kept = [[0, 2, 5, 6], [0, 1]];
        cache.Keep(starts, kept);
        Assert.Equal([s_prefixes[0].Length + 4, s_prefixes[1].Length + 2], cache.Lengths);
        var next = target.Append(cache, [[33], [34]]);
        for (var b = 0; b < 2; b++)
            Assert.InRange(Golden.Distance(Alone(target, [.. s_prefixes[b], .. kept[b].Select(i => s_tokens[b][i]), 33 + b]), next[b, 0]), 0, 2e-3);
    }

    [Fact]
    public void Features_are_the_outputs_of_the_layers_asked_for()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        int[] tokens = [1, 60, 61, 62];
        var states = Shipped.Nano.States(tokens);
        using var cache = Shipped.Nano.NewCache(1, 64);
        var (hidden, features) = Shipped.Nano.Append(cache, [tokens], null, [0, 2]);
        Assert.InRange(Golden.Distance(states[^1], hidden[0]), 0, 1e-4);
        Assert.InRange(Golden.Distance(cat([states[1], states[3]], -1), features[0]), 0, 1e-4);
    }

    [Fact]
    public void A_child_before_its_parent_is_refused()
    {
        using var cache = Shipped.Nano.NewCache(1, 64);
        using var scope = NewDisposeScope();
        Assert.Throws<ArgumentException>(() => Shipped.Nano.Append(cache, [[1, 2, 3]], [[-1, 2, 0]], []));
    }

    private static Target Named(string name) => name == "koala-nano" ? Shipped.Nano : Shipped.Mini;

    private static List<int> PathTo(int tree, int node)
    {
        var path = new List<int>();
        for (var i = node; i >= 0; i = s_parents[tree][i]) path.Insert(0, i);
        return path;
    }

    private static Tensor Alone(Target target, int[] tokens)
    {
        using var cache = target.NewCache(1, tokens.Length);
        return target.Append(cache, tokens)[-1];
    }
}
