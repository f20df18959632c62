using System.Text;
using Koala.Lab.Checkpoints;
using Koala.Lab.Text.Tokenizers;

namespace Koala.Lab.Tests;

/// <summary>
/// Model files come from strangers: a damaged file loads or is refused in one line. (Safetensors and GGUF files have
/// separate tests of hostile files.)
/// </summary>
public sealed class MutationTests : IDisposable
{
    private const string TokenizerJson = """
        {"added_tokens":[{"id":8,"content":"<s>","special":true,"normalized":false},
        {"id":9,"content":"<w>","special":false,"single_word":true,"lstrip":true,"normalized":true}],
        "normalizer":{"type":"NFC"},"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},
        {"type":"Split","pattern":{"Regex":"[a-z]+|\\s+"},"behavior":"Isolated","invert":false},
        {"type":"ByteLevel","add_prefix_space":false,"use_regex":true}]},
        "post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}],
        "special_tokens":{"<s>":{"id":"<s>","ids":[8],"tokens":["<s>"]}}},
        "decoder":{"type":"ByteLevel"},"model":{"type":"BPE","dropout":null,"byte_fallback":false,"ignore_merges":false,
        "vocab":{"a":0,"b":1,"c":2,"ab":3,"abc":4,"\u0120":5,"1":6,"\u0120a":7},"merges":["a b",["ab","c"],"\u0120 a"]}}
        """;

    private const string ConfigJson = """
        {"architectures":["Qwen2ForCausalLM"],"model_type":"qwen2","hidden_size":64,
        "intermediate_size":176,"num_hidden_layers":4,"num_attention_heads":4,
        "num_key_value_heads":2,"head_dim":16,"vocab_size":512,"rms_norm_eps":1e-05,"rope_theta":10000.0,
        "max_position_embeddings":512,"tie_word_embeddings":true,
        "hidden_act":"silu","use_sliding_window":true,"sliding_window":128,"torch_dtype":"bfloat16","bos_token_id":0,"eos_token_id":[2,3],
        "rope_scaling":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,
        "original_max_position_embeddings":256}}
        """;

    private const string Sample = "abc ab 1 a<s> <w> b\u00e9";

    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void A_damaged_config_is_read_or_refused() =>
        Mutations.Try(Encoding.UTF8.GetBytes(ConfigJson), 20_261_125, bytes => ModelConfig.Parse(bytes, "config.json"));

    [Fact]
    public void A_damaged_tokenizer_is_read_or_refused() =>
        Mutations.Try(Encoding.UTF8.GetBytes(TokenizerJson), 20_261_126, bytes =>
    {
        Write("tokenizer.json", bytes);
        var tokenizer = Tokenizer.Load(_folder.Path);
        tokenizer.Decode(tokenizer.Encode(Sample, addSpecialTokens: true));
    });

    public void Dispose() => _folder.Dispose();

    // The file is overwritten without being truncated first, because some file systems then write to the disk each
    // time.
    private void Write(string name, byte[] bytes)
    {
        using var stream = new FileStream(_folder.At(name), FileMode.OpenOrCreate, FileAccess.Write);
        stream.SetLength(bytes.Length);
        stream.Write(bytes);
    }
}
