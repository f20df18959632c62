using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Targets;

/// <summary>
/// On a CPU a step over several tokens computes each of them as a step over one token does, bit by bit: as a chain, as a tree, in a batch,
/// and with any number of threads.
/// </summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class RowEqualityTests : IDisposable
{
    private const int Prefix = 40;

    private readonly int _threads = get_num_threads();

    public static TheoryData<string, int> Targets => new()
    {
        { "koala-nano", 1 }, { "koala-nano", 2 }, { "koala-mini", 1 }, { "koala-mini", 2 }, { "SmolLM2", 2 },
    };

    public void Dispose() => set_num_threads(_threads);

    [Theory, MemberData(nameof(Targets))]
    public void Tokens_at_once_equal_tokens_one_by_one(string name, int threads) => With(name, threads, target =>
    {
        using var cache = target.NewCache(1, Prefix + 20);
        var prefix = Text(1, Prefix, target);
        target.Append(cache, [prefix]).Dispose();
        foreach (var count in Enumerable.Range(2, 15))
        {
            using var scope = NewDisposeScope();
            var tokens = Text(count, count, target);
            cache.Truncate(0, Prefix);
            var together = target.Logits(target.Append(cache, [tokens]));
            cache.Truncate(0, Prefix);
            for (var i = 0; i < count; i++)
                AssertSame(target.Logits(target.Append(cache, [[tokens[i]]]))[0, 0], together[0, i], $"{count} tokens, token {i}");
        }
    });

    [Theory, MemberData(nameof(Targets))]
    public void A_node_of_a_tree_equals_the_end_of_its_path(string name, int threads) => With(name, threads, target =>
    {
        var random = new Random(3);
        using var cache = target.NewCache(1, Prefix + 20);
        target.Append(cache, [Text(1, Prefix, target)]).Dispose();
        foreach (var count in (int[])[2, 5, 9, 16])
        {
            using var scope = NewDisposeScope();
            var tokens = Text(count, count, target);
            int[] parents = [.. Enumerable.Range(0, count).Select(i => random.Next(-1, i))];
            cache.Truncate(0, Prefix);
            var together = target.Logits(target.Append(cache, new TokenTrees([tokens], [parents]), []).Hidden);
            for (var i = 0; i < count; i++)
            {
                var path = new Stack<int>();
                for (var node = i; node >= 0; node = parents[node]) path.Push(tokens[node]);
                cache.Truncate(0, Prefix);
                Tensor? last = null;
                foreach (var token in path) last = target.Append(cache, [[token]]);
                AssertSame(target.Logits(last!)[0, 0], together[0, i], $"a tree of {count}, node {i}");
            }
        }
    });

    [Theory, InlineData("koala-nano", 2), InlineData("koala-mini", 1)]
    public void A_sequence_of_a_batch_equals_the_sequence_alone(string name, int threads) => With(name, threads, target =>
    {
        using var scope = NewDisposeScope();
        int[][] texts = [Text(1, 7, target), Text(2, 30, target), Text(3, 19, target)];
        int[][] next = [Text(4, 3, target), [], Text(5, 6, target)];
        using var batch = target.NewCache(3, 64);
        var first = target.Append(batch, texts);
        var second = target.Append(batch, next);
        for (var b = 0; b < 3; b++)
        {
            using var alone = target.NewCache(1, 64);
            AssertSame(target.Append(alone, [texts[b]])[0], first[b].narrow(0, 0, texts[b].Length), $"sequence {b}");
            if (next[b].Length > 0)
                AssertSame(target.Append(alone, [next[b]])[0], second[b].narrow(0, 0, next[b].Length), $"sequence {b}, second step");
        }
    });

    /// <summary>A prompt of more than one chunk.</summary>
    [Fact]
    public void A_long_prompt_equals_its_tokens_one_by_one() => With("koala-mini", 2, target =>
    {
        using var scope = NewDisposeScope();
        var text = Text(1, 530, target);
        using var chunks = target.NewCache(1, text.Length);
        using var single = target.NewCache(1, text.Length);
        var together = target.Append(chunks, text);
        for (var i = 0; i < text.Length; i++)
        {
            using var step = target.Append(single, [[text[i]]]);
            if (i % 13 == 0 || i > 505) AssertSame(step[0, 0], together[i], $"token {i}");
        }
    });

    [Fact]
    public void Weights_kept_in_16_bits_compute_what_they_compute_in_32()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var target = ShippedModels.Mini;
        using var cache = target.NewCache(1, 32);
        var hidden = target.Append(cache, Text(1, 20, target));
        var exact = nn.functional.linear(hidden.to(ScalarType.Float64), target.LmHead.to(ScalarType.Float64));
        // fp32 weights whose lower bits are not zero take twice the memory, and give the same sums once those bits are zero again.
        Assert.True(target.WeightBytes < 2.1 * target.Parameters);
        Assert.InRange((target.Logits(hidden) - exact).abs().max().item<double>(), 0, 1e-4);
    }

    private static void With(string name, int threads, Action<Target> check)
    {
        using var _ = no_grad();
        set_num_threads(threads);
        if (name != "SmolLM2")
        {
            check(ShippedModels.Of(name));
            return;
        }
        using var target = Target.Load(SharedFiles.At("models", "smollm2-135m-instruct", "SmolLM2-135M-Instruct.Q4_1.gguf"));
        check(target);
    }

    private static int[] Text(int seed, int length, Target target)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, length).Select(_ => random.Next(3, target.Config.VocabularySize))];
    }

    private static void AssertSame(Tensor expected, Tensor actual, string what) =>
        Assert.True(expected.equal(actual).all().item<bool>(), $"{what}: {(expected - actual).abs().max().item<float>()} apart");
}
