using System.Text.Json.Nodes;
using Koala.Lab.Checkpoints;
using Koala.Lab.Tests.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Tests;

/// <summary>
/// Correct results, in any order of the same operations, are within the tolerance; wrong ones exceed it a hundred
/// times.
/// </summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class ToleranceTests
{
    private const double Far = 100;

    public static TheoryData<string> Faults =>
        ["the last token one position later", "another token before the last", "a norm without its weights",
            "a layer left out", "theta off by a tenth"];

    /// <summary>
    /// Sums in one lane, as in the formula, and in as many lanes as vector units have, with products rounded separately
    /// or fused.
    /// </summary>
    [Theory, InlineData(64), InlineData(704), InlineData(4096)]
    public void Sums_in_any_order_are_close_and_one_without_a_term_is_not(int terms)
    {
        using var scope = NewDisposeScope();
        var random = new Random(terms);
        var pairs = Enumerable.Range(0, 300)
            .Select(_ => Enumerable.Range(0, terms).Select(_ => (Number(random), Number(random))).ToArray())
            .ToArray();
        var exact = tensor(pairs.Select(row => row.Sum(pair => (double)pair.Item1 * pair.Item2)).ToArray());
        foreach (var lanes in (int[])[1, 4, 8, 16])
            foreach (var fused in (bool[])[false, true])
                Tolerance.AssertClose(exact, tensor(pairs.Select(row => Sum(row, lanes, fused)).ToArray()), terms);

        var without = tensor(pairs.Select(row => Sum(row[1..], 8, true)).ToArray());
        Assert.InRange(Tolerance.Excess(exact, without, terms), Far, double.MaxValue);
    }

    [Fact]
    public void A_missing_norm_is_far_outside_the_tolerance()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(5, CPU);
        const int Width = 64;
        var (x, up, down) = (randn([20, Width], generator: generator), randn([Width, 176], generator: generator) / 8,
            randn([176, Width], generator: generator) / 13);
        Tensor Block(Tensor input, bool normed)
        {
            var h = normed ? input * (input.square().mean([-1], keepdim: true) + 1e-5).rsqrt() : input;
            return input + nn.functional.silu(h.matmul(up.to(input.dtype))).matmul(down.to(input.dtype));
        }
        var expected = Block(x.to(ScalarType.Float64), normed: true);
        const int Roundings = Width + Width + 176;
        Tolerance.AssertClose(expected, Block(x, normed: true), Roundings);
        Assert.InRange(Tolerance.Excess(expected, Block(x, normed: false), Roundings), Far, double.MaxValue);
    }

    [Theory, MemberData(nameof(Faults))]
    public void A_model_with_a_fault_is_far_outside_the_tolerance(string fault)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var ids = Golden.Prompts("koala-nano")[0].Ids;
        var config = JsonNode.Parse(File.ReadAllText(Path.Combine(ShippedModels.Folder("koala-nano"), "config.json")))!
            .AsObject();
        using var files = ModelFiles.Open(ShippedModels.Folder("koala-nano"));
        var weights = files.Tensors.Tensors.Keys.ToDictionary(name => name,
            name => files.Tensors.Read(name, ScalarType.Float32, CPU));
        var roundings = Tolerance.Roundings(ShippedModels.Nano.Config, ShippedModels.Nano.Config.Layers, ids.Length,
            ShippedModels.Nano.Config.HiddenSize);
        var correct = LastState(ids);
        Tolerance.AssertClose(new ReferenceModel(config, weights).States(ids)[^1][-1], correct, roundings);

        Tensor Wrong()
        {
            switch (fault)
            {
                case "the last token one position later":
                    return LastState(ids, later: 1);
                case "another token before the last":
                    return LastState([.. ids[..^2], ids[^2] + 1, ids[^1]]);
                case "a norm without its weights":
                    weights["model.layers.1.post_attention_layernorm.weight"].fill_(1);
                    break;
                case "a layer left out":
                    config["num_hidden_layers"] = 3;
                    break;
                default:
                    config["rope_theta"] = 1.1 * (double)config["rope_theta"]!;
                    break;
            }
            return new ReferenceModel(config, weights).States(ids)[^1][-1];
        }
        Assert.InRange(Tolerance.Excess(correct, Wrong(), roundings), Far, double.MaxValue);
    }

    // The target's last state, with the last token at a position that is later by the given number.
    private static Tensor LastState(int[] ids, long later = 0)
    {
        using var cache = ShippedModels.Nano.NewCache(1, ids.Length);
        var positions = arange(ids.Length, ScalarType.Int64).view(1, -1);
        positions[0, -1] += later;
        var tokens = tensor(ids.Select(id => (long)id).ToArray()).view(1, -1);
        return ShippedModels.Nano.Features(cache, tokens, positions, zeros_like(tokens), []).Hidden[0, -1];
    }

    // There are as many partial sums as lanes; they are added up at the end.
    private static float Sum((float, float)[] pairs, int lanes, bool fused)
    {
        var partial = new float[lanes];
        for (var i = 0; i < pairs.Length; i++)
        {
            var (a, b) = pairs[i];
            ref var sum = ref partial[i % lanes];
            sum = fused ? MathF.FusedMultiplyAdd(a, b, sum) : sum + a * b;
        }
        return partial.Aggregate((a, b) => a + b);
    }

    private static float Number(Random random) => (float)(random.NextDouble() * 2 - 1);
}
