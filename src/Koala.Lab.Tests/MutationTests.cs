using System.Text;
using Koala.Lab.Checkpoints;
using Koala.Lab.Text.Chat;
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
        "normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Strip","strip_left":false,"strip_right":true},
        {"type":"Replace","pattern":{"String":"x"},"content":"ab"},{"type":"Sequence","normalizers":[]}]},
        "pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},
        {"type":"Split","pattern":{"Regex":"[a-z]+|\\s+"},"behavior":"Isolated","invert":false},
        {"type":"ByteLevel","add_prefix_space":false,"use_regex":true}]},
        "post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}],
        "special_tokens":{"<s>":{"id":"<s>","ids":[8],"tokens":["<s>"]}}},
        "decoder":{"type":"Sequence","decoders":[{"type":"ByteLevel"},{"type":"Fuse"}]},
        "model":{"type":"BPE","dropout":null,"byte_fallback":false,"ignore_merges":false,
        "vocab":{"a":0,"b":1,"c":2,"ab":3,"abc":4,"\u0120":5,"1":6,"\u0120a":7},"merges":["a b",["ab","c"],"\u0120 a"]}}
        """;

    private const string TokenizerConfigJson = """
        {"bos_token":"<s>","eos_token":{"content":"</s>","special":true},"additional_special_tokens":["<x>"],
        "added_tokens_decoder":{"8":{"content":"<s>","special":true},"10":{"content":"</s>","lstrip":false,"special":true}},
        "chat_template":[{"name":"default","template":"{{ messages }}"}]}
        """;

    // What templates of models have, in three short templates: most of a rendering's time goes by a template's length, and damage to one
    // part says nothing about another.
    private const string MacroTemplate = """
        {%- macro show(text, kind='user') -%}{{ '<|start|>' ~ kind ~ '\n' ~ text | trim ~ '<|end|>' }}{%- endmacro -%}
        {{ bos_token }}{{ show(messages[0].content, kind='system') }}{{ show(messages[-1].content) }}
        {%- if tools is defined and tools is not none %}{{ tools | tojson(indent=2) }}{% endif -%}
        {%- if add_generation_prompt %}{{ '<|start|>assistant\n' }}{% endif -%}
        """;

    private const string LoopTemplate = """
        {%- if messages[0].role == 'system' %}{% set system = messages[0].content %}{% set rest = messages[1:] %}
        {%- else %}{% set system = 'You are helpful.' %}{% set rest = messages %}{% endif -%}
        {{ system }}
        {%- set ns = namespace(last=-1) -%}
        {%- for message in rest -%}
          {%- if (message.role == 'user') != (loop.index0 % 2 == 0) -%}{{ raise_exception('roles must alternate') }}{%- endif -%}
          {%- if loop.last %}{% set ns.last = loop.index %}{% endif -%}
        {%- endfor -%}
        """;

    private const string TextTemplate = """
        {%- for message in messages -%}
          {%- if message.role == 'assistant' and '</think>' in message.content -%}
            {{ message.content.split('</think>')[-1].lstrip('\n') }}
          {%- else -%}{{ message['content'] }}{%- endif -%}
        {%- endfor -%}
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

    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void A_damaged_config_is_read_or_refused() =>
        Mutations.Try(Encoding.UTF8.GetBytes(ConfigJson), 20_261_125, bytes => ModelConfig.Parse(bytes, "config.json"));

    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void A_damaged_tokenizer_is_read_or_refused() =>
        Mutations.Try(Encoding.UTF8.GetBytes(TokenizerJson), 20_261_126, bytes =>
    {
        Mutations.Write(_folder.At("tokenizer.json"), bytes);
        var tokenizer = Tokenizer.Load(_folder.Path);
        tokenizer.Decode(tokenizer.Encode(Sample, addSpecialTokens: true));
    });

    /// <summary>With a table of replaced characters.</summary>
    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void A_damaged_sentencepiece_model_is_read_or_refused() =>
        Mutations.Try(Text.SmallTokenizerTests.Model("mapped"), 20_261_131, bytes =>
    {
        Mutations.Write(_folder.At("tokenizer.model"), bytes);
        var tokenizer = Tokenizer.Load(_folder.Path);
        tokenizer.Decode(tokenizer.Encode("The ﬁrst ½ n\u0303 \r\n🐨"));
    });

    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void A_damaged_tokenizer_config_is_read_or_refused()
    {
        File.WriteAllText(_folder.At("tokenizer.json"), TokenizerJson);
        Mutations.Try(Encoding.UTF8.GetBytes(TokenizerConfigJson), 20_261_129, bytes =>
        {
            Mutations.Write(_folder.At("tokenizer_config.json"), bytes);
            Tokenizer.Load(_folder.Path).Encode(Sample);
        });
    }

    // Rendering one takes milliseconds.
    [Theory, Trait(PromptSample.Category, PromptSample.Sampled)]
    [InlineData(MacroTemplate), InlineData(LoopTemplate), InlineData(TextTemplate)]
    public void A_damaged_template_is_rendered_or_refused(string valid) =>
        Mutations.Try(Encoding.UTF8.GetBytes(valid), 20_261_130, bytes =>
        {
            var template = new ChatTemplate(Encoding.UTF8.GetString(bytes), new Dictionary<string, string>(), "chat_template.jinja");
            template.Render([new(Message.User, "Hi"), new(Message.Assistant, "<think>\n</think>\nHello")], addGenerationPrompt: true);
        }, PromptSample.Count(Mutations.Count / 3, 100), margin: 64 << 20);

    public void Dispose() => _folder.Dispose();
}
