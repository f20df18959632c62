using System.Text.Json.Nodes;
using Koala.Lab.Checkpoints;
using Koala.Lab.Decoding;
using Koala.Lab.Targets;
using Koala.Lab.Text.Chat;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Targets;

/// <summary>koala-nano as a GGUF file equals koala-nano; SmolLM2's own file gives the recorded outputs.</summary>
public sealed class GgufTargetTests : IDisposable
{
    private const int LongestPrompt = 64;

    private const string SmolLm = "smollm2-135m-instruct";

    private static readonly string s_nano = ShippedModels.Folder("koala-nano");

    private readonly TemporaryFolder _folder = new();

    private string NanoPath => _folder.At("koala-nano.gguf");

    public void Dispose() => _folder.Dispose();

    [Theory, Trait(PromptSample.Category, PromptSample.Numeric)]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float16)]
    [InlineData(ScalarType.BFloat16)]
    public void Koala_nano_as_gguf_gives_the_recorded_tokens_and_logits(ScalarType stored)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        File.WriteAllBytes(NanoPath, GgufConversion.Of(s_nano, stored).Build());
        using var target = Target.Load(NanoPath);
        using var decoder = new SpeculativeDecoder(target);
        foreach (var prompt in Golden.Prompts("koala-nano"))
        {
            Assert.Equal(prompt.Ids, target.Tokenizer.EncodeChat([new(Message.User, prompt.Chat)]));
            Assert.Equal(prompt.Greedy, decoder.Generate(prompt.Ids, new GenerationOptions { MaxTokens = 64 }).Tokens);
        }
        var states = target.States(Golden.Prompts("koala-nano")[0].Ids);
        AssertLogits(Golden.Tensors("koala-nano.safetensors")["logits"], target.Logits(states[^1]), target.Config);
    }

    [Fact]
    public void Koala_nano_as_gguf_has_the_weights_config_and_identity_of_its_folder()
    {
        using var scope = NewDisposeScope();
        File.WriteAllBytes(NanoPath, GgufConversion.Of(s_nano, ScalarType.Float32).Build());
        using (var files = ModelFiles.Open(NanoPath))
        using (var folder = ModelFiles.Open(s_nano))
        {
            // A GGUF file names no dtype for the model, and converters store one end-of-sequence token where
            // generation_config.json may have others.
            Assert.Equal(folder.Config with { Dtype = null, EndOfSequenceIds = [] },
                files.Config with { EndOfSequenceIds = [] });
            Assert.Equal([2], files.Config.EndOfSequenceIds);
            Assert.Equal(folder.Tensors.Tensors.Keys.Order(), files.Tensors.Tensors.Keys.Order());
            foreach (var name in folder.Tensors.Tensors.Keys)
                Assert.True(folder.Tensors.Read(name, ScalarType.Float32, CPU)
                    .equal(files.Tensors.Read(name, ScalarType.Float32, CPU))
                    .all()
                    .item<bool>(),
                    name);
        }
        using var target = Target.Load(NanoPath, "bf16");
        Assert.Equal(ShippedModels.Nano.Identity, target.Identity);
    }

    [Fact]
    public void Divisors_of_the_frequencies_are_llama_3s_scaling()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        // Wavelengths range from 6 to 20,000 tokens: those below 64 ÷ 4 are kept, those above 64 ÷ 1 are divided by 8,
        // and those between are blended.
        const double factor = 8, low = 1, high = 4, original = 64;
        var scaled = _folder.At("scaled");
        Directory.CreateDirectory(scaled);
        foreach (var file in Directory.EnumerateFiles(s_nano)) File.Copy(file, Path.Combine(scaled, Path.GetFileName(file)));
        var config = JsonNode.Parse(File.ReadAllText(Path.Combine(scaled, "config.json")))!;
        config["rope_scaling"] = new JsonObject
        {
            ["rope_type"] = "llama3", ["factor"] = factor, ["low_freq_factor"] = low, ["high_freq_factor"] = high,
            ["original_max_position_embeddings"] = original,
        };
        File.WriteAllText(Path.Combine(scaled, "config.json"), config.ToJsonString());
        var divisors = Enumerable.Range(0, 8).Select(i =>
        {
            var wavelength = 2 * Math.PI * Math.Pow(10_000, i / 8.0);
            if (wavelength < original / high) return 1f;
            if (wavelength > original / low) return (float)factor;
            var smooth = (original / wavelength - low) / (high - low);
            return (float)(1 / ((1 - smooth) / factor + smooth));
        }).ToArray();
        Assert.Contains(divisors, d => d is > 1 and < 8);
        File.WriteAllBytes(NanoPath,
            GgufConversion.Of(s_nano, ScalarType.BFloat16)
                .Tensor("rope_freqs.weight", [8], 0, [.. divisors.SelectMany(BitConverter.GetBytes)])
                .Build());

        using var folder = Target.Load(scaled);
        using var target = Target.Load(NanoPath);
        var ids = Golden.Prompts("koala-nano")[0].Ids;
        var (expected, plain) = (folder.States(ids)[^1], ShippedModels.Nano.States(ids)[^1]);
        AssertClose(expected, target.States(ids)[^1], target.Config, target.Config.Layers);
        Assert.InRange(Golden.Distance(expected, plain), 0.1, double.MaxValue);
    }

    [Fact]
    public void The_end_of_a_turn_ends_an_answer_too()
    {
        File.WriteAllBytes(NanoPath,
            GgufConversion.Of(s_nano, ScalarType.BFloat16).Set("tokenizer.ggml.eot_token_id", 0u).Build());
        using var files = ModelFiles.Open(NanoPath);
        Assert.Equal([0, 2], files.Config.EndOfSequenceIds);
    }

    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void SmolLm_gives_the_recorded_tokens_logits_and_hidden_states()
    {
        var path = SharedFiles.At("models", SmolLm, "SmolLM2-135M-Instruct.Q4_1.gguf");
        var golden = Path.ChangeExtension(SharedFiles.At("golden", $"{SmolLm}.json"), null);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var target = Target.Load(path, "fp32");
        Assert.Equal("SmolLM2-135M-Instruct.Q4_1", target.Name);

        var expected = Golden.Tensors($"{golden}.safetensors");
        var prompts = Golden.ReadPrompts(File.ReadAllText($"{golden}.json"));
        var states = target.States(prompts[0].Ids);
        Assert.Equal(target.Config.Layers + 1, states.Count);
        for (var i = 0; i < states.Count; i++) AssertClose(expected[$"hidden.{i}"], states[i], target.Config, i);
        var logits = expected["logits"];
        var last = states[^1].narrow(0, states[^1].shape[0] - logits.shape[0], logits.shape[0]);
        AssertLogits(logits, target.Logits(last), target.Config);

        using var decoder = new SpeculativeDecoder(target);
        Assert.Equal(8, prompts.Count);
        foreach (var prompt in prompts) Assert.Equal(prompt.Ids, target.Tokenizer.EncodeChat([new(Message.User, prompt.Chat)]));
        foreach (var prompt in PromptSample.Spread(prompts, PromptSample.Count(prompts.Count, 3)))
            Assert.Equal(prompt.Greedy, decoder.Generate(prompt.Ids, new GenerationOptions { MaxTokens = 64 }).Tokens);
    }

    // The final norm is a sum over the width.
    private static void AssertClose(Tensor expected, Tensor actual, ModelConfig config, int layers) =>
        Tolerance.AssertClose(expected, actual, Tolerance.Roundings(config, layers, LongestPrompt, config.HiddenSize));

    // So is the LM head. The smallest gap between a best and a second logit of the recorded answers is twice a
    // thousandth.
    private static void AssertLogits(Tensor expected, Tensor actual, ModelConfig config)
    {
        Assert.InRange(Golden.Distance(expected, actual), 0, 1e-3);
        Tolerance.AssertClose(expected, actual,
            Tolerance.Roundings(config, config.Layers, LongestPrompt, 2L * config.HiddenSize));
    }
}
