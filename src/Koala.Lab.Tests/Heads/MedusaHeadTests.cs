using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Targets;
using Koala.Lab.Tests.Training;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Heads;

[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class MedusaHeadTests
{
    private const long Width = 64, Vocabulary = 512;

    public static TheoryData<MedusaOptions> Variants =>
        new(
            new MedusaOptions { Layers = 1 },
            new MedusaOptions { Layers = 3, Heads = 2 },
            new MedusaOptions { Layers = 3, Tied = true },
            new MedusaOptions { Layers = 2, OwnLmHeads = true, Heads = 3 },
            new MedusaOptions { Layers = 2, Tied = true, OwnLmHeads = true, Heads = 1 });

    [Theory]
    [MemberData(nameof(Variants))]
    public void An_untrained_head_predicts_what_the_target_predicts(MedusaOptions options)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = (MedusaHead)DraftHead.Create(options, ShippedModels.Nano);
        var features = Features();
        var logits = head.Logits(features, ShippedModels.Nano);
        Assert.Equal([options.Heads, features.shape[0], Vocabulary], logits.shape);
        var targetLogits = ShippedModels.Nano.Logits(features);
        for (var h = 0; h < options.Heads; h++) Tolerance.AssertClose(targetLogits, logits[h], Width);
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void A_chain_chosen_at_once_equals_the_one_chosen_token_by_token(MedusaOptions options)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = Randomised(options);
        using var drafter = (LevelDrafter)head.NewDrafter(ShippedModels.Nano, 2, 40);
        drafter.Extend(Features().narrow(0, 0, 6).view(2, 3, -1), [[1, 2, 3, 4], [5, 6, 7]]);
        for (var length = 1; length <= options.Heads; length++)
        {
            var stepwise = Enumerable.Range(0, length)
                .Select(depth => depth == 0 ? drafter.First() : drafter.Next([[0], [0]], [[0], [0]]))
                .Select(logits => logits.argmax(-1).data<long>().ToArray()).ToArray();
            Assert.Equal(Enumerable.Range(0, 2).SelectMany(b => stepwise.Select(tokens => tokens[b])),
                drafter.GreedyChain(length)!.data<long>().ToArray());
        }
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void The_parameters_are_counted_without_those_of_the_target(MedusaOptions options)
    {
        using var head = DraftHead.Create(options, ShippedModels.Nano);
        var blocks = options.Tied ? 1 : options.Layers;
        Assert.Equal(options.Heads * (blocks * (Width * Width + Width) + (options.OwnLmHeads ? Vocabulary * Width : 0)),
            head.ParameterCount);
        Assert.Equal(options.Heads, head.MaxDraftLength);
        Assert.All(head.Parameters, p => Assert.True(p.Value.requires_grad && p.Value.dtype == ScalarType.Float32));
    }

    [Fact]
    public void Blocks_are_residual_and_follow_one_another_and_tied_ones_are_one_block_K_times()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        foreach (var options in (MedusaOptions[])[new() { Layers = 3, Heads = 2 },
            new() { Layers = 3, Heads = 2, Tied = true }, new() { Layers = 3, Heads = 2, OwnLmHeads = true }])
        {
            using var head = Randomised(options);
            var (features, file) = (Features(), head.ToStateDict().ToDictionary());
            var logits = head.Logits(features, ShippedModels.Nano);
            for (var h = 0; h < 2; h++)
            {
                var x = features;
                for (var k = 0; k < 3; k++)
                {
                    var y = x.matmul(file[$"{h}.{k}.linear.weight"].t()) + file[$"{h}.{k}.linear.bias"];
                    x = x + y * y.sigmoid();
                }
                var lmHead = options.OwnLmHeads ? file[$"{h}.3.weight"] : ShippedModels.Nano.LmHead;
                var expected = x.matmul(lmHead.t());
                Tolerance.AssertClose(expected, logits[h], 4 * Width);
            }
            Assert.Equal(options.Tied, Equal(file["0.0.linear.weight"], file["0.2.linear.weight"]));
            Assert.False(Equal(file["0.0.linear.weight"], file["1.0.linear.weight"]));
        }
    }

    [Fact]
    public void All_blocks_and_biases_and_own_LM_heads_learn()
    {
        using var scope = NewDisposeScope();
        using var batch = TinyModels.Batch(TinyModels.Data.Rows[0], TinyModels.Data.Rows[1]);
        using var head = Randomised(new MedusaOptions { Layers = 2, Heads = 2, OwnLmHeads = true });
        head.Predict(batch, ShippedModels.Nano).Select(p => p.Logits.logsumexp(-1).sum()).Aggregate((a, b) => a + b).backward();
        foreach (var (name, value) in head.Parameters)
            for (var h = 0; h < 2; h++) Assert.True(value.grad![h].abs().sum().item<float>() > 0, $"{name}, head {h}");
    }

    [Fact]
    public void Training_and_drafting_agree_at_a_position()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = Randomised(new MedusaOptions { Layers = 2, Heads = 3 });
        int[] tokens = [5, 40, 77, 130, 200, 301, 12, 9];
        using var batch = TinyModels.Batch(TinyModels.Row(tokens, new int[8], "xxxxxxxx"));
        var headOutputs = head.Predict(batch, ShippedModels.Nano);
        using var drafter = head.NewDrafter(ShippedModels.Nano, 1, 64);
        drafter.Extend(batch.Features.narrow(0, 0, 3).unsqueeze(0), [[5, 40, 77, 130]]);
        // The last state belongs to position 2: depth h drafts the token at position 4 + h.
        var chooser = new RecordingChooser();
        var draft = Assert.Single(drafter.Propose(new ChainTree(3), chooser));
        Assert.Equal([-1, 0, 1], draft.Candidates.Select(c => c.Parent));
        for (var h = 0; h < 3; h++)
        {
            var row = headOutputs[h].TargetPositions.data<long>().ToArray().IndexOf(3L + h);
            Tolerance.AssertClose(headOutputs[h].Logits[row], chooser.Logits[h][0], 3 * Width);
        }
        Assert.Equal(2, Assert.Single(drafter.Propose(new ChainTree(2), chooser)).Candidates.Count);
    }

    [Theory]
    [InlineData(0, 4)]
    [InlineData(-1, 4)]
    [InlineData(17, 4)]
    [InlineData(1, 0)]
    [InlineData(1, 17)]
    public void Sizes_out_of_range_are_refused(int layers, int heads)
    {
        var e = Assert.Throws<KoalaException>(() =>
            DraftHead.Create(new MedusaOptions { Layers = layers, Heads = heads }, ShippedModels.Nano));
        Assert.Equal(heads == 4 ? "layers" : "heads", e.Where);
    }

    [Fact]
    public void A_target_whose_weights_were_rounded_drafts_with_a_head_trained_on_the_exact_one()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var trained = TinyModels.Train(TinyModels.Options with { Steps = 4 }, TinyModels.Head with { OwnLmHeads = true });
        trained.Save(folder.Path, "card");
        using var target = Target.Load(ShippedModels.Folder("koala-nano"), "bf16");
        using var head = DraftHead.Load(folder.Path, target);
        // Rounding the weights of a target says nothing about those of a head, and a CPU computes in fp32.
        Assert.All(head.Parameters, p => Assert.Equal(ScalarType.Float32, p.Value.dtype));
        using var cache = target.NewCache();
        using var drafter = head.NewDrafter(target, 1, 64);
        drafter.Extend(target.Append(cache, [[1, 50, 60]]), [[1, 50, 60, 70]]);
        Assert.Equal(3, Assert.Single(drafter.Propose(new ChainTree(3), new RecordingChooser())).Candidates.Count);

        using var full = DraftHead.Load(folder.Path, ShippedModels.Nano);
        var features = Features();
        using var _ = no_grad();
        var exact = ((MedusaHead)full).Logits(features, ShippedModels.Nano);
        var rounded = ((MedusaHead)head).Logits(features, target);
        Assert.InRange(Golden.Distance(exact, rounded), 0, 3e-2 * exact.abs().max().item<float>());
    }

    internal static MedusaHead Randomised(MedusaOptions options)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var generator = new Generator(11, CPU);
        var head = (MedusaHead)DraftHead.Create(options, ShippedModels.Nano);
        foreach (var (_, value) in head.Parameters) value.add_(randn(value.shape, generator: generator) * 0.05);
        return head;
    }

    private static Tensor Features()
    {
        using var batch = TinyModels.Batch(TinyModels.Data.Rows[0]);
        return batch.Features.narrow(0, 0, 12).clone();
    }

    private static bool Equal(Tensor one, Tensor other) => one.equal(other).all().item<bool>();

    private sealed class RecordingChooser : ITokenSampler
    {
        public List<Tensor> Logits { get; } = [];

        public IReadOnlyList<SampledToken[]> Sample(Tensor logits, int count)
        {
            Logits.Add(logits.to(ScalarType.Float32, copy: true).MoveToOuterDisposeScope());
            return [.. Enumerable.Range(0, (int)logits.shape[0]).Select(i => new[] { new SampledToken(i, null, null) })];
        }
    }
}
