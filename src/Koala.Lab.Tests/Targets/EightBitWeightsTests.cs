using Koala.Lab.Decoding;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Evaluation;
using Koala.Lab.Heads;
using Koala.Lab.Targets;
using Koala.Lab.Tests.Cli;
using Koala.Lab.Tests.Decoding;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Targets;

/// <summary>A target whose matrices are rounded to int8.</summary>
public sealed unsafe class EightBitWeightsTests
{
    [Fact]
    public void A_block_of_32_inputs_is_codes_times_its_scale()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3, CPU);
        var weights = randn(70, 96, generator: generator);
        weights[1].fill_(0);
        weights[2].mul_(1e-9);
        weights[3].mul_(1e3);
        using var packed = EightBitWeights.Pack(weights, CpuDecoder.Crew);
        Assert.True(packed.Bytes < 70 * 96 * 2);
        var row = new float[96];
        for (var output = 0; output < 70; output++)
        {
            fixed (float* to = row) packed.CopyRow(output, to);
            var numbers = weights[output].data<float>().ToArray();
            for (var block = 0; block < 96; block += 32)
            {
                var scale = (float)(Half)(numbers[block..(block + 32)].Max(Math.Abs) / 127);
                for (var i = block; i < block + 32; i++)
                {
                    var code = scale == 0 ? 0 : Math.Clamp(MathF.Round(numbers[i] / scale, MidpointRounding.AwayFromZero), -127, 127);
                    Assert.Equal(code * scale, row[i]);
                }
            }
        }
    }

    [Fact]
    public void A_matrix_whose_inputs_do_not_fill_blocks_is_not_rounded()
    {
        using var scope = NewDisposeScope();
        Assert.False(EightBitWeights.Serve(zeros(4, 40)));
        Assert.True(EightBitWeights.Serve(zeros(4, 64)));
    }

    [Theory, InlineData("koala-nano"), InlineData("koala-mini")]
    public void Drafts_change_none_of_its_answers_and_its_heads_are_those_of_the_target(string name)
    {
        using var target = Target.Load(ShippedModels.Folder(name), "bf16", "cpu", "int8");
        var own = ShippedModels.Of(name);
        Assert.Equal(("int8", null), (target.Weights, own.Weights));
        Assert.Equal((own.Identity, own.Parameters), (target.Identity, target.Parameters));
        Assert.InRange(target.WeightBytes, 0.5 * own.Parameters, 0.75 * own.WeightBytes);
        using var head = DraftHead.Load(TestFiles.At("checkpoints", $"{name}-eagle-k2"), target);
        using var decoder = new SpeculativeDecoder(target, head);
        var different = 0;
        foreach (var prompt in Golden.Prompts(name).Take(4))
        {
            var expected = PlainDecoding.Answer(target, prompt.Ids, 24);
            foreach (var tree in (DraftTree[])[new ChainTree(3), new DynamicTree { Tokens = 12, Levels = 4, TopK = 3 }])
                Assert.Equal(expected, decoder.Generate(prompt.Ids, new GenerationOptions { MaxTokens = 24, Tree = tree }).Tokens);
            Assert.Equal(expected, decoder.GenerateAll([prompt.Ids, prompt.Ids], new GenerationOptions { MaxTokens = 24 })[1].Tokens);
            // libtorch computes with the same numbers.
            using var scope = NewDisposeScope();
            using var _ = no_grad();
            using var cache = target.NewCache();
            var logits = target.Logits(target.Append(cache, prompt.Ids));
            var plain = nn.functional.linear(target.Model.States(prompt.Ids)[^1], target.LmHead);
            Assert.True(logits.allclose(plain, rtol: 1e-3, atol: 1e-3));
            using var ownCache = own.NewCache();
            if (Golden.Distance(logits, own.Logits(own.Append(ownCache, prompt.Ids))) > 0) different++;
        }
        Assert.Equal(4, different);
    }

    [Fact]
    public void Reports_name_it_and_a_head_is_used_with_a_note()
    {
        string[] line = ["--target", ShippedModels.Folder("koala-nano"), "--weights", "int8", "--head",
            TestFiles.At("checkpoints", "koala-nano-eagle-k1"), "--draft-length", "2", "--max-tokens", "8"];
        var run = CommandRun.Of(["evaluate", .. line, "--prompts", TestFiles.At("data", "mt-bench.jsonl"), "--limit", "1", "--json"]);
        Assert.Equal("int8", run.Json.GetProperty("weights").GetString());
        Assert.Contains("rounded to int8", run.Error, StringComparison.Ordinal);
        var generated = CommandRun.Of(["generate", .. line, "--prompt", "Name a colour."]).AssertDone();
        Assert.Contains("rounded to int8", generated.Error, StringComparison.Ordinal);
        using var target = Target.Load(ShippedModels.Folder("koala-nano"), weights: "int8");
        Assert.Contains("weights: int8", Circumstances.Create(target, "none").ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_GPU_and_other_words_are_refused()
    {
        string[] line = ["generate", "--target", ShippedModels.Folder("koala-nano"), "--prompt", "a"];
        CommandRun.Of([.. line, "--weights", "int8", "--device", "cuda"]).AssertRefused("--weights", "only a CPU", "--device");
        CommandRun.Of([.. line, "--weights", "int4"]).AssertRefused("--weights", "int8");
        var refused = Assert.Throws<KoalaException>(() => Target.Load(ShippedModels.Folder("koala-nano"), weights: "int4"));
        Assert.Contains("int4", refused.Message, StringComparison.Ordinal);
    }
}
