using Koala.Lab.Checkpoints;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>The fault of a tokenizer file that needs something Koala does not have.</summary>
internal static class TokenizerFault
{
    /// <summary>The exception for a value of a section that Koala does not know.</summary>
    public static KoalaException Unsupported(this JsonSection section, string key, string value) => section.Fault(
        key, $"is '{MessageText.Text(value)}', which Koala does not know", "use a model whose tokenizer does without it");
}
