using System.Text;
using Koala.Lab.Checkpoints.Safetensors;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Targets;

/// <summary>Weights and configs as other tools write them: read as others read them, or refused with their true cause.</summary>
public sealed class ForeignWeightsTests : IDisposable
{
    private static readonly int[] s_text = [3, 50, 51, 52];
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("module.")]
    [InlineData("_orig_mod.")]
    [InlineData("base_model.model.")]
    public void The_beginning_that_a_wrapper_puts_before_names_is_left_out(string beginning) =>
        Same(ChangedModel.Copy(_folder.At("m"), tensors: own => own.Select(t => KeyValuePair.Create(beginning + t.Key, t.Value))));

    [Fact]
    public void A_model_that_was_saved_without_its_output_layer_is_read() =>
        Same(ChangedModel.Copy(_folder.At("m"),
            tensors: own => own.Select(t => KeyValuePair.Create(t.Key["model.".Length..], t.Value))));

    [Fact]
    public void A_tensor_of_no_part_of_the_decoder_is_left_unread() =>
        Same(ChangedModel.Copy(_folder.At("m"), tensors: own => own
            .With("model.extra.scale", zeros(3, ScalarType.Int32))
            .Append(new("score.weight", zeros(2, 64)))
            .Append(new("model.layers.0.self_attn.rotary_emb.inv_freq", zeros(8)))));

    [Theory]
    [InlineData("model.layers.0.self_attn.q_proj.bias")]
    [InlineData("model.layers.0.self_attn.sinks")]
    [InlineData("model.layers.0.pre_feedforward_layernorm.weight")]
    [InlineData("model.norm.bias")]
    [InlineData("lm_head.bias")]
    public void A_tensor_of_the_decoder_that_would_not_be_computed_is_refused(string name) =>
        Refused(ChangedModel.Copy(_folder.At("m"), tensors: own => own.With(name, zeros(64))), $"1 unexpected ({name})");

    [Fact]
    public void An_adapter_is_named_with_the_way_to_merge_it()
    {
        const string Name = "model.layers.0.self_attn.q_proj.lora_A.default.weight";
        Refused(ChangedModel.Copy(_folder.At("m"), tensors: own => own.With(Name, zeros(8, 64))), "LoRA", Name, "merge_and_unload");
        var adapter = Directory.CreateDirectory(_folder.At("a")).FullName;
        File.WriteAllText(Path.Combine(adapter, "adapter_config.json"), """{"base_model_name_or_path":"org/base"}""");
        Refused(adapter, "adapter (LoRA) for org/base", "merge_and_unload");
    }

    [Fact]
    public void More_layers_than_the_config_says_are_refused() =>
        Refused(ChangedModel.Copy(_folder.At("m"), config => config["num_hidden_layers"] = 3), "contains 4 layers", "config says 3");

    [Fact]
    public void Whole_numbers_without_scales_are_refused() =>
        Refused(ChangedModel.Copy(_folder.At("m"), tensors: own => own.With("model.norm.weight", ones(64, ScalarType.Int8))),
            "model.norm.weight", "I8");

    [Theory]
    [InlineData(true)]
    [InlineData(null)]
    public void An_output_layer_of_the_files_own_is_computed(bool? tied)
    {
        var other = ChangedModel.Copy(_folder.At("m"), config => config["tie_word_embeddings"] = tied,
            own => own.With("lm_head.weight", own["model.embed_tokens.weight"] * 2));
        using var scope = NewDisposeScope();
        using var target = Target.Load(other);
        Assert.True(target.LmHead.eq(ShippedModels.Nano.LmHead * 2).all().item<bool>());
        Assert.Equal(ShippedModels.Nano.Parameters + target.LmHead.numel(), target.Parameters);
    }

    [Fact]
    public void A_second_copy_of_a_tied_output_layer_takes_no_memory()
    {
        using var target = Target.Load(ChangedModel.Copy(_folder.At("m"),
            tensors: own => own.With("lm_head.weight", own["model.embed_tokens.weight"].clone())));
        Assert.Equal(ShippedModels.Nano.Parameters, target.Parameters);
    }

    [Fact]
    public void Without_an_output_layer_the_embedding_is_it_unless_the_config_denies_it()
    {
        Same(ChangedModel.Copy(_folder.At("silent"), config => config.Remove("tie_word_embeddings")));
        Refused(ChangedModel.Copy(_folder.At("denied"), config => config["tie_word_embeddings"] = false),
            "no lm_head.weight", "tie_word_embeddings is false");
    }

    [Fact]
    public void A_tensor_that_the_index_forgets_is_read_with_its_shard()
    {
        using var scope = NewDisposeScope();
        var folder = ChangedModel.Copy(_folder.At("m"));
        var file = Path.Combine(folder, "model.safetensors");
        string[] names;
        using (var source = SafetensorsFile.Open(file))
        {
            names = [.. source.Tensors.Keys];
            KeyValuePair<string, Tensor> Of(string name) => new(name, source.Read(name, ScalarType.BFloat16, CPU));
            SafetensorsWriter.Write(Path.Combine(folder, "1.safetensors"), [.. names.Take(20).Select(Of)]);
            SafetensorsWriter.Write(Path.Combine(folder, "2.safetensors"),
                [.. names.Skip(20).Select(Of), new("lm_head.weight", source.Read("model.embed_tokens.weight", ScalarType.BFloat16, CPU))]);
        }
        File.Delete(file);
        var map = names.Select((name, i) => $"\"{name}\":\"{(i < 20 ? 1 : 2)}.safetensors\"");
        File.WriteAllText(file + ".index.json", "{\"weight_map\":{" + string.Join(',', map) + "}}");
        Same(folder);
    }

    [Theory]
    [InlineData("\"hidden_act\":\"silu\"", "\"hidden_act\":\"swish\"")]
    [InlineData("\"architectures\":[\"LlamaForCausalLM\"],", "")]
    [InlineData("\"architectures\":[\"LlamaForCausalLM\"],", "\"architectures\":[\"LLaMAForCausalLM\"],")]
    [InlineData("\"model_type\":\"llama\",", "")]
    [InlineData("{", "{\"extra\":Infinity,\"other\":[-Infinity,NaN],\"text\":\"NaN, \\\"Infinity\\\"\",")]
    [InlineData("{", "\ufeff{")]
    public void A_config_that_other_loaders_read_is_read(string part, string replacement)
    {
        var folder = ChangedModel.Copy(_folder.At("m"));
        var file = Path.Combine(folder, "config.json");
        var text = File.ReadAllText(file);
        Assert.Contains(part, text, StringComparison.Ordinal);
        var start = text.IndexOf(part, StringComparison.Ordinal);
        File.WriteAllText(file, text[..start] + replacement + text[(start + part.Length)..]);
        Same(folder);
    }

    [Fact]
    public void A_config_in_another_encoding_or_with_a_key_twice_is_named_so()
    {
        var folder = ChangedModel.Copy(_folder.At("m"));
        var file = Path.Combine(folder, "config.json");
        var text = File.ReadAllText(file);
        File.WriteAllText(file, text, Encoding.Unicode);
        Refused(folder, "is UTF-16");
        File.WriteAllText(file, "{\"vocab_size\":512," + text[1..]);
        Refused(folder, "has a key twice");
        File.WriteAllText(file, text.Replace("\"vocab_size\":512", "\"vocab_size\":Infinity", StringComparison.Ordinal));
        Refused(folder, "vocab_size", "Infinity", "a whole number");
    }

    private static void Same(string folder)
    {
        using var scope = NewDisposeScope();
        using var target = Target.Load(folder);
        Assert.Equal(ShippedModels.Nano.Parameters, target.Parameters);
        Assert.True(target.States(s_text)[^1].eq(ShippedModels.Nano.States(s_text)[^1]).all().item<bool>());
    }

    private static void Refused(string folder, params string[] words)
    {
        var e = Assert.Throws<KoalaException>(() => Target.Load(folder));
        foreach (var word in words) Assert.Contains(word, e.Message, StringComparison.Ordinal);
    }
}
