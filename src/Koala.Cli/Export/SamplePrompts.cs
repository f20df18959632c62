using Koala.Lab.Data;

namespace Koala.Cli.Export;

/// <summary>Short prompts of several kinds, for checks that need no file.</summary>
internal static class SamplePrompts
{
    private static readonly string[] s_texts =
    [
        "Why is the sky blue?", "Count from one to ten.", "Write a short story about a robot.", "What is the capital of France?",
        "Explain how a bicycle stays upright.", "List three fruits.", "Write a function that adds two numbers.", "What is 12 times 7?",
        "Tell me a joke.", "Translate 'good morning' into Spanish.", "Who wrote Hamlet?", "Describe a forest in autumn.",
        "How do I boil an egg?", "Name the planets of the solar system.", "What does a compiler do?", "Write a haiku about rain.",
        "Give me a recipe for pancakes.", "What is the difference between a lake and a sea?", "Say hello in five languages.",
        "Why do cats purr?",
    ];

    /// <summary>All of them.</summary>
    public static IReadOnlyList<Prompt> All { get; } = [.. s_texts.Select((text, i) => new Prompt($"sample-{i + 1}", "", [text], null))];
}
