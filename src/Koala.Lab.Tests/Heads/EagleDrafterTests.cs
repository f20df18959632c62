using Koala.Lab.Data;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Learning;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Heads;

/// <summary>
/// The drafter's outputs equal those of the training pass on the same tokens, whatever was drafted before.
/// </summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class EagleDrafterTests
{
    // The change relative to the largest feature: small enough for a proportional response, and far above rounding.
    private const double Change = 1e-3;

    public static TheoryData<EagleOptions> Variants => new(
        new EagleOptions { Layers = 1 },
        new EagleOptions { Layers = 2, Bias = true },
        new EagleOptions { Layers = 3, DraftVocabulary = 100 },
        new EagleOptions { Layers = 2, FusedFeatures = true, Architecture = EagleArchitecture.Eagle1 },
        new EagleOptions { Layers = 1, FusedFeatures = true },
        new EagleOptions { Layers = 2, FusedFeatures = true, DraftVocabulary = 100, NormBeforeResidual = true, NormBeforeFc = true },
        new EagleOptions { Layers = 2, FusedFeatures = true, OwnLmHead = true, FeatureNorms = true, NormOutput = true },
        new EagleOptions { Layers = 1, FusedFeatures = true, FusionWeights = true, FeatureNorms = true },
        new EagleOptions { Layers = 1, FusedFeatures = true, FusionWeights = true, Bias = true },
        new EagleOptions { Layers = 2, Window = 16 },
        new EagleOptions { Layers = 1, FusedFeatures = true, Window = 17 });

    /// <summary>
    /// Two sequences that commit different numbers of tokens, each with a tree of four levels after every commitment;
    /// every node is compared with a row that ends in its path.
    /// </summary>
    [Theory, MemberData(nameof(Variants))]
    public void Every_node_of_a_tree_equals_the_training_pass_on_its_path(EagleOptions options)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = EagleFixtures.Random(ShippedModels.Nano, options);
        int[][] texts = [Text(5, 40), Text(11, 40)];
        // More room is needed than was asked for, so the cache grows.
        using var drafter = (EagleDrafter)head.NewDrafter(ShippedModels.Nano, 2, 30);
        var (known, features) = (new int[2], texts.Select(text => FeaturesOf(text, head)).ToArray());
        foreach (var (one, other) in ((int, int)[])[(3, 7), (1, 2), (5, 1), (2, 9)])
        {
            int[] grown = [one, other];
            var longest = grown.Max();
            var rows = stack(Enumerable.Range(0, 2).Select(b => features[b].narrow(0, known[b], longest)), 0);
            drafter.Extend(rows, [.. grown.Select((n, b) => texts[b][known[b]..(known[b] + n + 1)])]);
            for (var b = 0; b < 2; b++) known[b] += grown[b];

            var roots = drafter.First();
            var paths = texts.Select(_ => new int[][] { [] }).ToArray();
            for (var b = 0; b < 2; b++) Check(head, texts[b][..(known[b] + 1)], [], drafter.Outputs[b], roots[b]);
            for (var level = 1; level <= 4; level++)
            {
                var width = 1 + level % 3;
                int[][] parents = [.. paths.Select((p, b) =>
                    Enumerable.Range(0, width).Select(i => (i * 2 + b) % p.Length).ToArray())];
                int[][] tokens = [.. parents.Select((p, b) =>
                    p.Select((parent, i) => 3 + (level * 31 + i * 7 + b * 13 + parent) % 90).ToArray())];
                var logits = drafter.Next(tokens, parents);
                for (var b = 0; b < 2; b++)
                {
                    paths[b] = [.. parents[b].Select((parent, i) => (int[])[.. paths[b][parent], tokens[b][i]])];
                    for (var i = 0; i < width; i++)
                        Check(head, texts[b][..(known[b] + 1)], paths[b][i], drafter.Outputs[b * width + i],
                            logits[b * width + i]);
                }
            }
        }
    }

    [Theory, MemberData(nameof(Variants))]
    public void A_chain_chosen_on_the_device_equals_the_one_chosen_token_by_token(EagleOptions options)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = EagleFixtures.Random(ShippedModels.Nano, options);
        int[][] texts = [Text(5, 40), Text(11, 40)];
        var features = stack(texts.Select(text => FeaturesOf(text, head)).ToArray(), 0);
        using var drafter = (EagleDrafter)head.NewDrafter(ShippedModels.Nano, 2, 40);
        foreach (var (from, to) in ((int, int)[])[(0, 6), (6, 7), (7, 12)])
        {
            drafter.Extend(features.narrow(1, from, to - from), [.. texts.Select(text => text[from..(to + 1)])]);
            var onDevice = drafter.GreedyChain(5)!.data<long>().ToArray();
            var logits = drafter.First();
            var stepwise = new List<int[]>();
            for (var depth = 0; depth < 5; depth++)
            {
                if (depth > 0) logits = drafter.Next([[stepwise[^1][0]], [stepwise[^1][1]]], [[0], [0]]);
                var best = logits.argmax(-1).data<long>().ToArray();
                stepwise.Add([.. best.Select(id => drafter.Vocabulary?.Tokens[(int)id] ?? (int)id)]);
            }
            Assert.Equal(Enumerable.Range(0, 2).SelectMany(b => stepwise.Select(tokens => (long)tokens[b])), onDevice);
        }
    }

    [Fact]
    public void A_sequence_that_has_ended_is_unchanged_and_does_not_disturb_the_others()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = EagleFixtures.Random(ShippedModels.Nano, new EagleOptions { Layers = 2 });
        var text = Text(5, 20);
        var features = FeaturesOf(text, head).unsqueeze(0);
        using var drafter = (EagleDrafter)head.NewDrafter(ShippedModels.Nano, 2, 40);
        drafter.Extend(features.narrow(1, 0, 8).expand(2, -1, -1), [text[..9], text[..9]]);
        drafter.First();
        drafter.Next([[4], [5]], [[0], [0]]);
        drafter.Extend(features.narrow(1, 8, 3).expand(2, -1, -1), [[], text[8..12]]);
        var logits = drafter.First();
        Check(head, text[..12], [], drafter.Outputs[1], logits[1]);
    }

    [Theory, MemberData(nameof(Variants))]
    public void A_forgotten_sequence_begins_with_another_text_while_the_other_one_is_left_alone(EagleOptions options)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = EagleFixtures.Random(ShippedModels.Nano, options);
        int[][] texts = [Text(5, 40), Text(11, 40), Text(17, 40)];
        var features = texts.Select(text => FeaturesOf(text, head)).ToArray();
        foreach (var tensors in (bool[])[false, true])
        {
            using var drafter = tensors
                ? head.NewTensorDrafter(ShippedModels.Nano, 2, 40)
                : (EagleDrafter)head.NewDrafter(ShippedModels.Nano, 2, 40);
            drafter.Extend(stack([features[0].narrow(0, 0, 20), features[1].narrow(0, 0, 20)], 0), [texts[0][..21], texts[1][..10]]);
            drafter.Propose(new ChainTree(3), new Best());
            drafter.Forget(0);
            // Only the first sequence gets tokens, and only its features have a meaning.
            drafter.Extend(stack([features[2].narrow(0, 0, 6), zeros_like(features[2].narrow(0, 0, 6))], 0), [texts[2][..7], []]);
            var roots = drafter.First();
            Check(head, texts[2][..7], [], drafter.Outputs[0], roots[0]);
            Check(head, texts[1][..10], [], drafter.Outputs[1], roots[1]);
            drafter.Extend(stack([features[2].narrow(0, 6, 3), features[1].narrow(0, 9, 3)], 0), [texts[2][6..8], texts[1][9..13]]);
            roots = drafter.First();
            Check(head, texts[2][..8], [], drafter.Outputs[0], roots[0]);
            Check(head, texts[1][..13], [], drafter.Outputs[1], roots[1]);
        }
    }

    [Fact]
    public void A_drafting_round_leaves_no_tensor_behind()
    {
        using var _ = no_grad();
        using var head = EagleFixtures.Random(ShippedModels.Nano, new EagleOptions { Layers = 2, DraftVocabulary = 60 });
        var text = Text(5, 60);
        var live = DisposeScopeManager.Statistics.TensorStatistics;
        using var outer = NewDisposeScope();
        var features = FeaturesOf(text, head).unsqueeze(0);
        var before = live.ThreadTotalLiveCount;
        using (var drafter = head.NewDrafter(ShippedModels.Nano, 1, 64))
        {
            var counts = new List<long>();
            for (var round = 0; round < 20; round++)
            {
                using var scope = NewDisposeScope();
                drafter.Extend(features.narrow(1, round * 2, 2), [text[(round * 2)..(round * 2 + 3)]]);
                drafter.Propose(new ChainTree(5), new Best());
                scope.Dispose();
                counts.Add(live.ThreadTotalLiveCount);
            }
            Assert.Single(counts.Distinct());
        }
        Assert.Equal(before, live.ThreadTotalLiveCount);
    }

    private static int[] Text(int seed, int count) =>
        [.. Enumerable.Range(0, count).Select(i => 3 + (i * i * 7 + i * seed) % 480)];

    private static Tensor FeaturesOf(int[] text, DraftHead head)
    {
        using var cache = ShippedModels.Nano.NewCache(1, text.Length);
        return ShippedModels.Nano.Prefill(cache, [text], head.FeatureLayers).Features[0];
    }

    // The committed text ends with the root; at the position before the root, training's step j takes the path's token
    // j.
    private static void Check(EagleHead head, int[] committed, int[] path, Tensor output, Tensor logits)
    {
        using var scope = NewDisposeScope();
        int[] tokens = [.. committed, .. path];
        // This row is separate: what the target predicts for the path is not fed to the head.
        var row = new PackedRow(tokens, [.. Enumerable.Range(0, tokens.Length)], new int[tokens.Length],
            [.. tokens.Select(_ => true)]);
        using var cache = ShippedModels.Nano.NewCache(1, tokens.Length);
        using var batch = new TrainingBatch(ShippedModels.Nano, cache, [row],
            head.FeatureLayers) { TrainingTimeTestSteps = path.Length + 1 };
        var outputs = EagleFixtures.TrainingOutputs(head, batch)[path.Length];
        var expected = outputs[committed.Length - 2];
        // Each step's weights are random and its output is the next step's input, so rounding errors grow from step to
        // step.
        var amplitude = Change * batch.Features.abs().max().item<float>();
        using var again = ShippedModels.Nano.NewCache(1, tokens.Length);
        using var noisy = new TrainingBatch(ShippedModels.Nano, again, [row], head.FeatureLayers)
        {
            TrainingTimeTestSteps = path.Length + 1,
            Noise = (amplitude, 1),
        };
        var difference = EagleFixtures.TrainingOutputs(head, noisy)[path.Length] - outputs;
        var change = difference.abs().amax(-1) / outputs.abs().amax(-1);
        var amplification = Math.Max(1, change.narrow(0, 0, committed.Length - 1).max().item<float>() / Change);
        var config = ShippedModels.Nano.Config;
        var layers = config.Layers + head.Options.Layers * (path.Length + 1);
        var roundings = Tolerance.Roundings(config, layers, tokens.Length, 2L * config.HiddenSize * (path.Length + 2));
        Tolerance.AssertClose(expected, output, roundings, amplification);
        // The position before would not match.
        var before = outputs[committed.Length - 3];
        Assert.InRange(Tolerance.Excess(before, output, roundings, amplification), 10, double.MaxValue);
        Tensor Logits(Tensor hidden)
        {
            var options = (EagleOptions)head.Options;
            if (options.IsEagle3 && !options.NormOutput)
                hidden = hidden * (hidden.square().mean() + config.RmsNormEps).rsqrt() * head.Parameters["norm"];
            if (head.Parameters.Find("lm_head") is { } lmHead) return matmul(lmHead, hidden);
            var all = ShippedModels.Nano.Logits(hidden.unsqueeze(0))[0];
            return head.Vocabulary is { } vocabulary
                ? all.index_select(0, tensor(vocabulary.Tokens.Select(t => (long)t).ToArray()))
                : all;
        }
        var ofLogits = roundings + config.HiddenSize;
        Tolerance.AssertClose(Logits(expected), logits, ofLogits, amplification);
        Assert.InRange(Tolerance.Excess(Logits(before), logits, ofLogits, amplification), 10, double.MaxValue);
    }

    private sealed class Best : ITokenSampler
    {
        public IReadOnlyList<SampledToken[]> Sample(Tensor logits, int count)
        {
            using var scope = NewDisposeScope();
            return [.. logits.topk(count).indexes.data<long>()
                .ToArray()
                .Select(t => new SampledToken((int)t, null, null))
                .Chunk(count)];
        }
    }
}
