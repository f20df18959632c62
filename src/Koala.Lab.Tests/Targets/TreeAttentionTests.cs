using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Targets;

/// <summary>
/// A step over trees gives each token the state it would have at the end of its own path, and the cache keeps a path as
/// if it had been appended by itself.
/// </summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class TreeAttentionTests
{
    // The largest number of tokens that one token attends to.
    private const int Longest = 160;

    [Theory, InlineData("koala-nano"), InlineData("koala-mini")]
    public void Every_token_of_a_tree_sees_its_own_path_only(string name)
    {
        var target = ShippedModels.Of(name);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var random = new Random(1);
        int[][] prompts = [Tokens(random, target, 5), Tokens(random, target, 70), Tokens(random, target, 1)];
        using var cache = target.NewCache(3, 128);
        target.Append(cache, prompts);
        // The trees are ragged: a bushy tree, a chain, and an empty one.
        int[][] parents = [Tree(random, 20), [-1, 0, 1], []];
        int[][] tokens = [.. parents.Select(p => Tokens(random, target, p.Length))];
        var hidden = target.Append(cache, new TokenTrees(tokens, parents), []).Hidden;
        Assert.Equal([3, 20, target.Config.HiddenSize], hidden.shape);
        Assert.Equal([25, 73, 1], cache.Lengths);
        for (var b = 0; b < 3; b++)
            for (var i = 0; i < parents[b].Length; i++)
            {
                int[] path = [.. Path(parents[b], i).Select(n => tokens[b][n])];
                AssertNear(target, Last(target, [.. prompts[b], .. path]), hidden[b, i]);
            }
    }

    [Fact]
    public void Features_of_layers_follow_the_tree_too()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var random = new Random(2);
        var (prompt, parents) = (Tokens(random, ShippedModels.Nano, 9), Tree(random, 12));
        var tokens = Tokens(random, ShippedModels.Nano, 12);
        using var cache = ShippedModels.Nano.NewCache();
        ShippedModels.Nano.Append(cache, prompt);
        var features = ShippedModels.Nano.Append(cache, new TokenTrees([tokens], [parents]), [0, 1]).Features;
        for (var i = 0; i < 12; i++)
        {
            var states = ShippedModels.Nano.States([.. prompt, .. Path(parents, i).Select(n => tokens[n])]);
            AssertNear(ShippedModels.Nano, cat([states[1][-1], states[2][-1]]), features[0, i]);
        }
    }

    /// <summary>
    /// Many rounds of trees, of each of which a random path is accepted; rows of the cache move over one another.
    /// </summary>
    [Theory, InlineData("koala-nano"), InlineData("koala-mini")]
    public void A_cache_that_keeps_a_path_continues_as_if_only_the_path_had_been_appended(string name)
    {
        var target = ShippedModels.Of(name);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var random = new Random(3);
        List<int>[] kept = [[.. Tokens(random, target, 3)], [.. Tokens(random, target, 40)], [.. Tokens(random, target, 11)]];
        using var cache = target.NewCache(3, 160);
        target.Append(cache, [.. kept.Select(k => k.ToArray())]);
        for (var round = 0; round < 12; round++)
        {
            using var inner = NewDisposeScope();
            int[][] parents = [.. kept.Select((_, b) => random.Next(6) == 0 ? [] : Tree(random, 1 + random.Next(20)))];
            parents[round % 3] = Tree(random, 20);   // at least one tree
            int[][] tokens = [.. parents.Select(p => Tokens(random, target, p.Length))];
            int[] starts = [.. cache.Lengths];
            target.Append(cache, new TokenTrees(tokens, parents), []);
            int[][] paths = [.. parents.Select(p => p.Length == 0 ? [] : Path(p, random.Next(p.Length)))];
            cache.Compact(starts, paths);
            for (var b = 0; b < 3; b++) kept[b].AddRange(paths[b].Select(i => tokens[b][i]));
            Assert.Equal(kept.Select(k => k.Count), cache.Lengths);

            int[] probe = Tokens(random, target, 3);
            starts = [.. cache.Lengths];
            var hidden = target.Append(cache, [.. probe.Select(t => new[] { t })]);
            for (var b = 0; b < 3; b++) AssertNear(target, Last(target, [.. kept[b], probe[b]]), hidden[b, 0]);
            cache.Compact(starts, [[], [], []]);
        }
    }

    [Fact]
    public void Rows_that_move_onto_rows_that_move_are_read_before_they_are_written()
    {
        using var scope = NewDisposeScope();
        using var cache = ShippedModels.Nano.NewCache(2, 64);
        ShippedModels.Nano.Append(cache, [[1, 2], [3]]);
        int[] starts = [.. cache.Lengths];
        int[] chain = [.. Enumerable.Range(5, 10)];
        ShippedModels.Nano.Append(cache, [chain, chain]);
        var (keys, values) = (cache.Keys[1].clone(), cache.Values[1].clone());
        int[][] paths = [[1, 2, 3, 4, 5, 6, 7, 8, 9], [0, 2, 3, 5, 9]];
        cache.Compact(starts, paths);
        for (var b = 0; b < 2; b++)
            for (var head = 0; head < ShippedModels.Nano.Config.KeyValueHeads; head++)
                for (var i = 0; i < paths[b].Length; i++)
                {
                    var row = (b * ShippedModels.Nano.Config.KeyValueHeads + head) * 64 + starts[b];
                    Assert.True(cache.Keys[1][row + i].equal(keys[row + paths[b][i]]).all().item<bool>());
                    Assert.True(cache.Values[1][row + i].equal(values[row + paths[b][i]]).all().item<bool>());
                }
        Assert.Equal([11, 6], cache.Lengths);
    }

    [Fact]
    public void A_token_before_its_parent_is_refused()
    {
        using var cache = ShippedModels.Nano.NewCache();
        Assert.Throws<ArgumentException>(() => ShippedModels.Nano.Append(cache, new TokenTrees([[1, 2]], [[1, -1]]), []));
    }

    // Parents come before children; the tree is bushy or deep at random, often with several roots.
    private static int[] Tree(Random random, int size) =>
        [.. Enumerable.Range(0, size)
            .Select(i => random.Next(Math.Max(-1, i - 5) - 1, i))
            .Select(p => Math.Max(p, -1))];

    private static int[] Path(int[] parents, int node)
    {
        var path = new List<int>();
        for (var i = node; i >= 0; i = parents[i]) path.Insert(0, i);
        return [.. path];
    }

    private static int[] Tokens(Random random, Target target, int count) =>
        [.. Enumerable.Range(0, count).Select(_ => random.Next(target.Config.VocabularySize))];

    private static Tensor Last(Target target, int[] tokens)
    {
        using var cache = target.NewCache(1, tokens.Length);
        return target.Append(cache, tokens)[-1];
    }

    private static void AssertNear(Target target, Tensor expected, Tensor actual)
    {
        var config = target.Config;
        Tolerance.AssertClose(expected, actual, Tolerance.Roundings(config, config.Layers, Longest, config.HiddenSize));
    }
}
