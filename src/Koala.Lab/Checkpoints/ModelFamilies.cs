namespace Koala.Lab.Checkpoints;

/// <summary>The families of models that Koala computes, by the names of Hugging Face's transformers.</summary>
public static class ModelFamilies
{
    /// <summary>The model types and their architectures.</summary>
    public static IReadOnlyList<(string ModelType, string Architecture)> All { get; } =
    [
        ("llama", "LlamaForCausalLM"), ("mistral", "MistralForCausalLM"), ("qwen2", "Qwen2ForCausalLM"), ("qwen3", "Qwen3ForCausalLM"),
        ("smollm3", "SmolLM3ForCausalLM"), ("phi3", "Phi3ForCausalLM"), ("gemma", "GemmaForCausalLM"), ("gemma2", "Gemma2ForCausalLM"),
        ("gemma3_text", "Gemma3ForCausalLM"),
    ];
}
