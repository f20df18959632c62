using Koala.Lab.Targets;

namespace Koala.Lab.Decoding;

/// <summary>The room that a target's context leaves for the answer to a prompt.</summary>
internal static class ContextRoom
{
    /// <summary>The most tokens that the answer can have.</summary>
    public static int AnswerTokens(Target target, IReadOnlyList<int> prompt, GenerationOptions options) =>
        Math.Min(options.MaxTokens, target.Config.ContextLength - prompt.Count);

    /// <summary>Checks that a prompt has tokens, that the target knows them, and that they leave room for an answer.</summary>
    /// <param name="target">The target.</param>
    /// <param name="prompt">The token ids of the prompt.</param>
    /// <param name="name">The name of the prompt in an error message.</param>
    /// <exception cref="KoalaException">
    /// The prompt is empty, at least as long as the context, or has a token outside the target's vocabulary.
    /// </exception>
    public static void Check(Target target, IReadOnlyList<int> prompt, string name)
    {
        var context = target.Config.ContextLength;
        if (prompt.Count == 0) throw new KoalaException(name, "is empty", "ask something");
        if (prompt.Count >= context)
        {
            var found = $"has {prompt.Count} tokens, but {target.Name} has a context of {context} for prompt and answer";
            throw new KoalaException(name, found, "shorten it");
        }
        var size = target.Config.VocabularySize;
        if (prompt.FirstOrDefault(id => id < 0 || id >= size, defaultValue: 0) is not 0 and var outside)
        {
            var text = outside < 0 ? "" : $" ('{MessageText.Text(target.Tokenizer.TextOf(outside))}')";
            throw new KoalaException(name,
                $"contains the token {outside}{text}, but the vocabulary of {target.Name} ends at {size - 1}", "leave it out");
        }
    }
}
