using Koala.Lab.Decoding;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Heads;
using Koala.Lab.Runtime.Cuda;
using Koala.Lab.Targets;
using Koala.Lab.Targets.Fused;
using Koala.Lab.Tests.Decoding;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Targets;

/// <summary>
/// Steps in kernels of our own on a GPU: a row's bits depend neither on the other rows nor on their number, and its numbers are those of
/// libtorch in fp32 up to the rounding of bf16.
/// </summary>
public sealed class FusedDecoderTests
{
    private const int Prefix = 150;

    public static TheoryData<string> Forms => new("Persistent", "Fused");

    [Theory, MemberData(nameof(Forms))]
    public void Tokens_at_once_equal_tokens_one_by_one(string form)
    {
        using var target = Load(form);
        using var cache = target.NewCache(1, Prefix + 64);
        using var scope = NewDisposeScope();
        target.Append(cache, Text(1, Prefix, target)).Dispose();
        int[] layers = [3, target.Config.Layers - 1];
        foreach (var count in (int[])[2, 5, 8, 9, 16, 17, 33, 64])
        {
            using var inner = NewDisposeScope();
            var tokens = Text(count, count, target);
            // The shape is repeated, so that a captured step is among those that are compared.
            for (var time = 0; time < 3; time++)
            {
                cache.Truncate(0, Prefix);
                var together = target.Append(cache, TokenTrees.Chains([tokens]), layers);
                var logits = target.Logits(together.Hidden);
                cache.Truncate(0, Prefix);
                for (var i = 0; i < count; i++)
                {
                    var alone = target.Append(cache, TokenTrees.Chains([[tokens[i]]]), layers);
                    AssertSame(alone.Hidden[0, 0], together.Hidden[0, i], $"{count} tokens, hidden state {i}");
                    AssertSame(alone.Features[0, 0], together.Features[0, i], $"{count} tokens, features {i}");
                    AssertSame(target.Logits(alone.Hidden)[0, 0], logits[0, i], $"{count} tokens, logits {i}");
                }
            }
        }
    }

    [Theory, MemberData(nameof(Forms))]
    public void A_node_of_a_tree_equals_the_end_of_its_path(string form)
    {
        using var target = Load(form);
        var random = new Random(3);
        using var cache = target.NewCache(1, Prefix + 64);
        using var scope = NewDisposeScope();
        target.Append(cache, Text(1, Prefix, target)).Dispose();
        foreach (var count in (int[])[2, 9, 20, 60])
        {
            using var inner = NewDisposeScope();
            var tokens = Text(count, count, target);
            int[] parents = [.. Enumerable.Range(0, count).Select(i => random.Next(-1, i))];
            cache.Truncate(0, Prefix);
            var together = target.Append(cache, new TokenTrees([tokens], [parents]), []).Hidden;
            for (var i = 0; i < count; i++)
            {
                var path = new Stack<int>();
                for (var node = i; node >= 0; node = parents[node]) path.Push(tokens[node]);
                cache.Truncate(0, Prefix);
                Tensor? last = null;
                foreach (var token in path) last = target.Append(cache, [[token]]);
                AssertSame(last![0, 0], together[0, i], $"a tree of {count}, node {i}");
            }
        }
    }

    [Theory, MemberData(nameof(Forms))]
    public void A_sequence_of_a_batch_equals_the_sequence_alone(string form)
    {
        using var target = Load(form);
        using var scope = NewDisposeScope();
        int[][] texts = [Text(1, 7, target), Text(2, 30, target), Text(3, 19, target)];
        int[][] next = [Text(4, 50, target), [], Text(5, 60, target)];   // more rows than one launch takes
        using var batch = target.NewCache(3, 128);
        var first = target.Append(batch, TokenTrees.Chains(texts), []).Hidden;
        var second = target.Append(batch, TokenTrees.Chains(next), []).Hidden;
        for (var b = 0; b < 3; b++)
        {
            using var alone = target.NewCache(1, 128);
            AssertSame(target.Append(alone, [texts[b]])[0], first[b].narrow(0, 0, texts[b].Length), $"sequence {b}");
            if (next[b].Length > 0)
                AssertSame(target.Append(alone, [next[b]])[0], second[b].narrow(0, 0, next[b].Length), $"sequence {b}, second step");
        }
    }

    [Theory]
    [InlineData("""{"head_dim":64}""")]
    [InlineData("""{"head_dim":128,"num_attention_heads":7,"num_key_value_heads":1,"tie_word_embeddings":true}""")]
    [InlineData("""{"head_dim":64,"architectures":["Qwen2ForCausalLM"],"model_type":"qwen2"}""")]
    [InlineData("""{"head_dim":128,"architectures":["Qwen3ForCausalLM"],"model_type":"qwen3"}""")]
    public void Numbers_are_those_of_fp32_up_to_the_rounding_of_bf16(string change)
    {
        Assert.SkipUnless(cuda.is_available(), "needs a GPU");
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var folder = new TemporaryFolder();
        var config = ReferenceTests.Config(change);
        using var exact = ReferenceTests.Write(folder, config, ReferenceTests.Weights(config));
        using var target = Target.Load(folder.Path, "bf16", "cuda");
        Assert.SkipWhen(target.Model.Fused is null, "needs NVRTC");
        var tokens = Text(5, 60, target);
        foreach (var form in Enum.GetValues<StepForm>())
        {
            target.Model.Fused.Use(form);
            using var own = target.NewCache(1, 128);
            using var other = exact.NewCache(1, 128);
            foreach (var piece in (int[][])[tokens[..33], tokens[33..34], tokens[34..]])
            {
                var expected = exact.Logits(exact.Append(other, piece));
                var actual = target.Logits(target.Append(own, piece)).to(ScalarType.Float32).cpu();
                Assert.InRange(((actual - expected).square().mean().sqrt() / expected.std()).item<float>(), 0, 0.05);
            }
        }
    }

    [Theory]
    [InlineData("koala-mini-eagle-k2", "Persistent", 1)]
    [InlineData("koala-mini-eagle-k2", "Fused", 1)]
    [InlineData("koala-mini-eagle-k1", "Fused", 3)]
    [InlineData("koala-mini-medusa-k1", "Persistent", 2)]
    public void Greedy_answers_with_a_head_are_those_without(string head, string form, int batch)
    {
        using var target = Load(form);
        using var source = DraftHead.Load(ShippedModels.Folder(head), target);
        using var decoder = new SpeculativeDecoder(target, source);
        using var baseline = new SpeculativeDecoder(target);
        DraftTree[] trees = head.Contains("eagle", StringComparison.Ordinal)
            ? [new ChainTree(5), new DynamicTree { Tokens = 40, Levels = 5, TopK = 8 }]
            : [new ChainTree(3)];
        string[] questions = ["What is a koala?", "Name three colours.", "Why is the sky blue?", "Tell me a story.",
            "How do I boil an egg?", "What is two and two?"];
        var prompts = questions.Select(q => target.Tokenizer.EncodeChat([new("user", q)])).ToArray();
        var options = new GenerationOptions { MaxTokens = 120 };
        var expected = prompts.Select(prompt => baseline.Generate(prompt, options).Tokens).ToArray();
        foreach (var tree in trees)
            Assert.Equal(expected,
                prompts.Chunk(batch).SelectMany(group => decoder.GenerateAll(group, options with { Tree = tree })).Select(x => x.Tokens));
    }

    [Theory, MemberData(nameof(Forms))]
    public void Ten_thousand_rounds_take_no_more_device_memory(string form)
    {
        using var target = Load(form);
        using var source = DraftHead.Load(ShippedModels.Folder("koala-mini-eagle-k1"), target);
        using var decoder = new SpeculativeDecoder(target, source);
        var prompt = target.Tokenizer.EncodeChat([new("user", "Tell me a story.")]);
        DraftTree[] trees = [new ChainTree(4), new DynamicTree { Tokens = 12, Levels = 4, TopK = 6 }];
        void Decode(int atLeast)
        {
            var rounds = 0;
            for (var n = 0; rounds < atLeast; n++)
                rounds += decoder.Generate(prompt, new GenerationOptions { MaxTokens = 200, Tree = trees[n % trees.Length] }).Rounds.Count;
        }
        Decode(400);   // every shape is captured
        var (bytes, tensors) = (Gpu.UsedBytes(), Tensor.TotalCount);
        Decode(10_000);
        Assert.Equal((bytes, tensors), (Gpu.UsedBytes(), Tensor.TotalCount));
    }

    /// <summary>Drawn answers have the target's distribution, with a chain that is drawn and with a tree that is chosen.</summary>
    [Theory, MemberData(nameof(Forms))]
    public void Sampled_answers_have_the_targets_distribution(string form)
    {
        using var target = Load(form);
        using var source = DraftHead.Load(ShippedModels.Folder("koala-mini-eagle-k2"), target);
        using var decoder = new SpeculativeDecoder(target, source) { ChooseDraftLength = false };
        var prompt = target.Tokenizer.EncodeChat([new("user", "Tell me a story.")]).ToArray();
        var options = new GenerationOptions { Temperature = 1, TopK = 3, MaxTokens = 3 };
        var expected = SampledAnswers.Distribution(target, prompt, options, 3);
        foreach (var tree in (DraftTree[])[new ChainTree(2), new DynamicTree { Tokens = 8, Levels = 2, TopK = 4 }])
        {
            var accepted = SampledAnswers.AssertDistribution(decoder, prompt, options with { Tree = tree }, expected);
            Assert.InRange(accepted, 100, int.MaxValue);   // otherwise nothing was tested
        }
    }

    /// <summary>What has no kernels runs on libtorch, and says so.</summary>
    [Fact]
    public void Without_kernels_the_plain_path_runs()
    {
        Assert.Null(ShippedModels.Nano.Model.Kernels);
        Assert.SkipUnless(cuda.is_available(), "needs a GPU");
        using var nano = Target.Load(ShippedModels.Folder("koala-nano"), "bf16", "cuda");   // heads of 16 numbers
        Assert.Equal("plain", nano.Model.Kernels);
        using var exact = Target.Load(ShippedModels.Folder("koala-mini"), "fp32", "cuda");
        Assert.Equal("plain", exact.Model.Kernels);
    }

    private static Target Load(string form)
    {
        Assert.SkipUnless(cuda.is_available(), "needs a GPU");
        var target = Target.Load(ShippedModels.Folder("koala-mini"), "bf16", "cuda");
        if (target.Model.Fused is null)
        {
            target.Dispose();
            Assert.Skip("needs NVRTC");
        }
        target.Model.Fused!.Use(Enum.Parse<StepForm>(form));
        return target;
    }

    private static int[] Text(int seed, int length, Target target)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, length).Select(_ => random.Next(3, target.Config.VocabularySize))];
    }

    private static void AssertSame(Tensor expected, Tensor actual, string what) =>
        Assert.True(expected.equal(actual).all().item<bool>(), what);
}
