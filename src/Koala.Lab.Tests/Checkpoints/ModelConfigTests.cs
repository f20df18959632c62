using System.Text;
using System.Text.Json.Nodes;
using Koala.Lab.Checkpoints;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Checkpoints;

public sealed class ModelConfigTests
{
    private const string Llama = """
        {"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":64,
         "intermediate_size":176,"num_hidden_layers":4,"num_attention_heads":4,
         "num_key_value_heads":2,"vocab_size":512,"rms_norm_eps":1e-05,"max_position_embeddings":512,
         "tie_word_embeddings":true,"hidden_act":"silu",
         "attention_bias":false,"mlp_bias":false,"bos_token_id":0,"eos_token_id":2}
        """;

    /// <summary>The name of a case, the change to a valid config (null removes a key), and words of the error.</summary>
    public static TheoryData<string, string, string> Wrong
    {
        get
        {
            var data = new TheoryData<string, string, string>();
            foreach (var key in (string[])["hidden_size", "intermediate_size",
                "num_hidden_layers", "num_attention_heads", "vocab_size", "rms_norm_eps", "max_position_embeddings"])
                data.Add($"no {key}", $$"""{"{{key}}":null}""", key);
            void Add(string name, string change, string fault) => data.Add(name, change, fault);
            Add("no family named", """{"architectures":[],"model_type":null}""", "missing or empty");
            Add("another model type", """{"architectures":null,"model_type":"gpt2"}""", "model_type");
            Add("two families", """{"architectures":["Qwen2ForCausalLM"],"model_type":"llama"}""", "architectures is Qwen2ForCausalLM");
            foreach (var (key, value) in ((string, string)[])
                [
                    ("logit_scale", "0.5"), ("logits_scaling", "8"), ("embedding_multiplier", "12"), ("attention_multiplier", "0.01"),
                    ("final_logit_softcapping", "30"), ("attn_logit_softcapping", "50"), ("num_local_experts", "8"),
                    ("use_qk_norm", "true"), ("clip_qkv", "\"8\""),
                ])
                Add($"a {key} that Koala does not compute", $$"""{"{{key}}":{{value}}}""", key);
            Add("weights compressed under another key", """{"compression_config":{"quant_method":"compressed-tensors"}}""",
                "compressed-tensors");
            Add("a factor of default scaling", """{"rope_scaling":{"rope_type":"default","factor":4}}""", "factor");
            Add("scaling with a key that changes it", """{"rope_scaling":{"type":"linear","factor":2,"attention_factor":1.5}}""",
                "attention_factor");
            Add("positions in three dimensions", """{"rope_scaling":{"type":"default","mrope_section":[1,2,3]}}""", "mrope_section");
            Add("layers of another kind", """{"layer_types":["linear_attention"]}""", "linear_attention");
            Add("an architecture that is a number", """{"architectures":[1]}""", "a list of strings");
            Add("an architecture that is a string", """{"architectures":"LlamaForCausalLM"}""", "a list of strings");
            Add("another architecture", """{"architectures":["GPT2LMHeadModel"]}""", "GPT2LMHeadModel");
            Add("an architecture with a line break", """{"architectures":["Gpt\n2"]}""", "Gpt?2");
            Add("a size of 0", """{"hidden_size":0}""", "hidden_size");
            Add("a negative size", """{"num_attention_heads":-4}""", "num_attention_heads");
            Add("a size beyond 32 bits", """{"vocab_size":4294967808}""", "vocab_size");
            Add("a huge size", """{"intermediate_size":2000000000}""", "intermediate_size");
            Add("a size with a fraction", """{"hidden_size":64.5}""", "whole number");
            Add("a size as a string", """{"hidden_size":"64"}""", "whole number");
            Add("a size as a list", """{"hidden_size":[64]}""", "whole number");
            Add("too many layers", """{"num_hidden_layers":100000}""", "1024");
            Add("a huge context", """{"max_position_embeddings":2147483647}""", "max_position_embeddings");
            Add("heads that do not divide the width", """{"num_attention_heads":3,"num_key_value_heads":3}""",
                "head_dim is not given");
            Add("key-value heads that do not divide the heads", """{"num_key_value_heads":3}""", "does not divide");
            Add("more key-value heads than heads", """{"num_key_value_heads":8}""", "does not divide");
            Add("an odd head", """{"head_dim":15}""", "even");
            Add("a head of 0", """{"head_dim":0}""", "head_dim");
            Add("heads wider than anything together", """{"head_dim":16777216}""", "wider");
            Add("a norm that adds 0", """{"rms_norm_eps":0}""", "above 0");
            Add("a norm that adds less than nothing", """{"rms_norm_eps":-1e-5}""", "above 0");
            Add("a norm that adds infinity", """{"rms_norm_eps":1e999}""", "finite");
            Add("a norm that adds 1", """{"rms_norm_eps":1}""", "below 1");
            Add("another activation", """{"hidden_act":"gelu"}""", "gelu");
            Add("biases in attention", """{"attention_bias":true}""", "attention_bias");
            Add("biases in the feed-forward part", """{"mlp_bias":true}""", "mlp_bias");
            Add("a switch as a string", """{"tie_word_embeddings":"true"}""", "true or false");
            Add("quantised weights", """{"quantization_config":{"quant_method":"gptq"}}""", "gptq");
            Add("half-rotated heads", """{"partial_rotary_factor":0.5}""", "whole heads");
            Add("half-rotated heads, new spelling",
                """{"rope_parameters":{"rope_type":"default","partial_rotary_factor":0.5}}""", "whole heads");
            Add("a theta of 0", """{"rope_theta":0}""", "rope_theta");
            Add("two thetas", """{"rope_theta":10000,"rope_parameters":{"rope_type":"default","rope_theta":500000}}""",
                "remove the wrong one");
            Add("both spellings of scaling",
                """{"rope_scaling":{"type":"linear","factor":2},"rope_parameters":{"rope_type":"default"}}""",
                "newer spelling");
            Add("scaling as a string", """{"rope_scaling":"linear"}""", "an object");
            Add("scaling without a type", """{"rope_scaling":{"factor":2}}""", "rope_type");
            Add("scaling of two types", """{"rope_scaling":{"type":"linear","rope_type":"llama3","factor":2}}""",
                "remove the wrong one");
            Add("another kind of scaling", """{"rope_scaling":{"rope_type":"proportional","factor":4}}""", "proportional");
            Add("linear scaling without a factor", """{"rope_scaling":{"type":"linear"}}""", "factor");
            Add("linear scaling by 0", """{"rope_scaling":{"type":"linear","factor":0}}""", "factor");
            Add("llama3 scaling without its bounds", """{"rope_scaling":{"rope_type":"llama3","factor":8}}""",
                "low_freq_factor");
            Add("llama3 scaling with equal bounds",
                """{"rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":4,"high_freq_factor":4""" +
                ""","original_max_position_embeddings":64}}""",
                "high_freq_factor");
            Add("llama3 scaling without the first context",
                """{"rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4}}""",
                "original_max_position_embeddings");
            Add("another dtype", """{"torch_dtype":"int4"}""", "int4");
            Add("two dtypes", """{"dtype":"float16","torch_dtype":"bfloat16"}""", "remove the wrong one");
            Add("an end beyond the vocabulary", """{"eos_token_id":512}""", "below the vocabulary size 512");
            Add("a negative end", """{"eos_token_id":-1}""", "eos_token_id");
            Add("an end that is a string", """{"eos_token_id":"</s>"}""", "eos_token_id");
            Add("one wrong end of several", """{"eos_token_id":[2,"x"]}""", "eos_token_id");
            Add("Qwen3 without head_dim", """{"architectures":["Qwen3ForCausalLM"]}""", "head_dim");
            return data;
        }
    }

    [Fact]
    public void Every_size_is_read()
    {
        var config = Parse(Llama);
        Assert.Equal(("LlamaForCausalLM", "llama"), (config.Architecture, config.ModelType));
        Assert.Equal((64, 176, 4, 4, 2, 16, 512, 512),
            (config.HiddenSize, config.IntermediateSize, config.Layers, config.Heads, config.KeyValueHeads,
                config.HeadDim, config.VocabularySize, config.ContextLength));
        Assert.Equal((1e-5, 10_000.0, null, true, false, false),
            (config.RmsNormEps, config.RopeTheta, config.RopeScaling, config.TieWordEmbeddings, config.AttentionBias,
                config.QueryKeyNorm));
        Assert.Equal((null, 0), (config.Dtype, config.BeginOfSequenceId));
        Assert.Equal([2], config.EndOfSequenceIds);
    }

    [Theory]
    [InlineData("""{"rope_theta":500000,"torch_dtype":"bfloat16"}""")]
    [InlineData("""{"rope_parameters":{"rope_theta":500000,"rope_type":"default"},"dtype":"bfloat16"}""")]
    [InlineData("""{"rope_parameters":{"rope_theta":500000},"dtype":"bfloat16","torch_dtype":"bfloat16"}""")]
    [InlineData("""{"rope_theta":500000,"rope_scaling":{"type":"default"},"torch_dtype":"bfloat16"}""")]
    public void Both_spellings_are_equivalent(string spelling)
    {
        var config = Parse(Changed(spelling));
        Assert.Equal((500_000.0, null, ScalarType.BFloat16), (config.RopeTheta, config.RopeScaling, config.Dtype));
    }

    [Theory]
    [InlineData("""{"rope_scaling":{"type":"linear","factor":2.5}}""")]
    [InlineData("""{"rope_scaling":{"rope_type":"linear","type":"linear","factor":2.5}}""")]
    [InlineData("""{"rope_parameters":{"rope_type":"linear","factor":2.5,"rope_theta":10000}}""")]
    public void Linear_scaling_is_read_in_both_spellings(string spelling) =>
        Assert.Equal(new RopeScaling("linear", 2.5), Parse(Changed(spelling)).RopeScaling);

    [Theory]
    [InlineData("rope_scaling")]
    [InlineData("rope_parameters")]
    public void Llama3_scaling_is_read_in_both_spellings(string key) =>
        Assert.Equal(new RopeScaling("llama3", 8, 1, 4, 8192), Parse(Changed(
        $$"""{"{{key}}":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0""" +
        ""","original_max_position_embeddings":8192} }""")).RopeScaling);

    [Theory]
    [InlineData("2", "2", new[] { 2 })]
    [InlineData("2", "[7,0,2]", new[] { 0, 2, 7 })]
    [InlineData("[5,3]", "null", new[] { 3, 5 })]
    [InlineData("null", "9", new[] { 9 })]
    [InlineData("null", "null", new int[0])]
    public void Ends_are_those_of_both_files_together(string config, string generation, int[] ends) =>
        Assert.Equal(ends, ModelConfig.Parse(
        Encoding.UTF8.GetBytes(Changed($$"""{"eos_token_id":{{config}} }""")), "config.json",
        Encoding.UTF8.GetBytes($$"""{"eos_token_id":{{generation}} }""")).EndOfSequenceIds);

    [Fact]
    public void A_wrong_end_in_the_second_file_names_that_file()
    {
        var e = Assert.Throws<KoalaException>(() =>
            ModelConfig.Parse(Encoding.UTF8.GetBytes(Llama), "config.json", """{"eos_token_id":600}"""u8.ToArray(),
                "folder/generation_config.json"));
        Assert.Equal("folder/generation_config.json: eos_token_id", e.Where);
    }

    [Theory]
    [InlineData("LlamaForCausalLM", false, false)]
    [InlineData("MistralForCausalLM", false, false)]
    [InlineData("Qwen2ForCausalLM", true, false)]
    [InlineData("Qwen3ForCausalLM", false, true)]
    [InlineData("Phi3ForCausalLM", false, false)]
    [InlineData("SmolLM3ForCausalLM", false, false)]
    public void Architectures_differ_by_switches(string architecture, bool bias, bool norm)
    {
        var config = Parse(Changed($$"""{"architectures":["{{architecture}}"],"head_dim":32}"""));
        Assert.Equal((bias, norm, 32), (config.AttentionBias, config.QueryKeyNorm, config.HeadDim));
    }

    [Theory]
    [InlineData("""{"architectures":["MistralForCausalLM"],"sliding_window":128}""", "0 1 2 3")]
    [InlineData("""{"architectures":["MistralForCausalLM"],"sliding_window":null}""", "")]
    [InlineData("""{"architectures":["Phi3ForCausalLM"],"sliding_window":128}""", "0 1 2 3")]
    [InlineData("""{"architectures":["Qwen2ForCausalLM"],"sliding_window":128,"use_sliding_window":false}""", "")]
    [InlineData("""{"architectures":["Qwen2ForCausalLM"],"sliding_window":128,"use_sliding_window":true,"max_window_layers":3}""", "3")]
    [InlineData("""{"architectures":["Gemma2ForCausalLM"],"sliding_window":128,"head_dim":8,"hidden_act":"gelu"}""", "0 2")]
    [InlineData("""
        {"architectures":["Gemma3ForCausalLM"],"sliding_window":128,"head_dim":8,"sliding_window_pattern":3,"hidden_act":"gelu"}
        """, "0 1 3")]
    [InlineData("""{"sliding_window":128}""", "")]
    [InlineData("""
        {"sliding_window":128,"layer_types":["full_attention","sliding_attention","full_attention","full_attention"]}
        """, "1")]
    public void The_family_or_layer_types_say_which_layers_have_a_window(string change, string layers)
    {
        var config = Parse(Changed(change));
        Assert.Equal(layers, string.Join(' ', config.WindowLayers));
        Assert.Equal((512, layers == "" ? null : 128), (config.ContextLength, config.SlidingWindow));
    }

    [Theory]
    [InlineData("""{"final_logit_softcapping":null,"logit_scale":1.0,"num_local_experts":0,"use_qk_norm":false}""")]
    [InlineData("""{"rope_scaling":{"type":"default","factor":1,"mrope_section":null}}""")]
    public void A_key_with_the_value_that_changes_nothing_is_read(string change) => Parse(Changed(change));

    [Fact]
    public void Without_key_value_heads_every_head_has_its_own() =>
        Assert.Equal(4, Parse(Changed("""{"num_key_value_heads":null}""")).KeyValueHeads);

    [Theory]
    [MemberData(nameof(Wrong))]
    public void A_wrong_config_is_one_error_that_names_the_key(string name, string change, string fault)
    {
        var e = Assert.Throws<KoalaException>(() => Parse(Changed(change)));
        Assert.True(e.Message.Contains(fault), $"{name}: {e.Message}");
        Assert.StartsWith("config.json: ", e.Where);
        Assert.DoesNotContain('\n', e.Message);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("""{"hidden_size":64,"hidden_size":128}""")]
    [InlineData("""{"a":"\ud800"}""")]
    [InlineData("""{"\ud800":1}""")]
    [InlineData("""{"a":1}}""")]
    public void Anything_but_a_JSON_object_is_one_error(string json) =>
        Assert.StartsWith("config.json", Assert.Throws<KoalaException>(() => Parse(json)).Where);

    [Fact]
    public void Bytes_that_are_no_text_are_one_error() =>
        Assert.Contains("UTF-8",
            Assert.Throws<KoalaException>(() =>
                ModelConfig.Parse(new byte[] { (byte)'{', 0xff, (byte)'}' }, "config.json")).Fault);

    [Fact]
    public void A_thousand_nested_lists_are_one_error() =>
        Assert.Throws<KoalaException>(() => Parse($$"""{"a":{{new string('[', 1000)}}{{new string(']', 1000)}} }"""));

    [Fact]
    public void A_long_wrong_value_is_cut_in_the_message() =>
        Assert.InRange(Assert.Throws<KoalaException>(() =>
            Parse(Changed($$"""{"hidden_size":"{{new string('9', 100_000)}}"}"""))).Message.Length,
            0, 400);

    private static ModelConfig Parse(string json) => ModelConfig.Parse(Encoding.UTF8.GetBytes(json), "config.json");

    private static string Changed(string change)
    {
        var config = JsonNode.Parse(Llama)!.AsObject();
        var changes = JsonNode.Parse(change)!.AsObject();
        foreach (var (key, value) in changes) config[key] = value?.DeepClone();
        if (changes.ContainsKey("architectures") && !changes.ContainsKey("model_type")) config.Remove("model_type");
        return config.ToJsonString();
    }
}
