using System.Text.RegularExpressions;
using Koala.Lab.Checkpoints;
using Koala.Lab.Checkpoints.Gguf;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>How text is cut into pieces, by the names that GGUF files give.</summary>
/// <remarks>
/// The patterns are applied one after the other, each to the pieces of the one before; what none of them matches is a piece of its own. What a name implies
/// beside its patterns is what the models' own tokenizer.json says.
/// </remarks>
internal static partial class GgufPreTokenizers
{
    private const string Key = "tokenizer.ggml.pre";

    // GPT-2's contractions in either case, whole words, up to three digits.
    [GeneratedRegex(@"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")]
    private static partial Regex Llama3Pattern { get; }

    // The same with single digits.
    [GeneratedRegex(@"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")]
    private static partial Regex Qwen2Pattern { get; }

    [GeneratedRegex(@"[\p{P}\$\+<=>\^~\|]+")]
    private static partial Regex PunctuationPattern { get; }

    [GeneratedRegex(@"\p{N}+")]
    private static partial Regex NumberPattern { get; }

    [GeneratedRegex("[0-9][0-9][0-9]")]
    private static partial Regex ThreeDigitsPattern { get; }

    private static readonly Style[] s_all =
    [
        new("gpt-2", Cut(PreTokenizer.Gpt2Pattern)),
        .. ((string[])["smollm", "starcoder", "refact", "command-r"]).Select(name => new Style(name, Cut(PreTokenizer.DigitPattern, PreTokenizer.Gpt2Pattern))),
        new("default", Cut(PunctuationPattern, PreTokenizer.Gpt2Pattern, NumberPattern, ThreeDigitsPattern)),
        new("llama-bpe", Cut(Llama3Pattern)) { IgnoreMerges = true, AddsBeginOfSequence = true },
        new("qwen2", Cut(Qwen2Pattern)) { Compose = true },
    ];

    /// <summary>A way to cut text, and what comes with it.</summary>
    internal sealed record Style(string Name, IReadOnlyList<SplitStep> Steps)
    {
        /// <summary>Whether a piece that is a token is taken whole.</summary>
        public bool IgnoreMerges { get; init; }

        /// <summary>Whether the begin-of-sequence token goes before a text unless the file says otherwise.</summary>
        public bool AddsBeginOfSequence { get; init; }

        /// <summary>Whether text is composed (NFC) first.</summary>
        public bool Compose { get; init; }
    }

    /// <summary>The file's; files that name none were made before there were names.</summary>
    /// <exception cref="KoalaException">Koala knows none of that name.</exception>
    internal static Style Find(GgufMetadata values)
    {
        var name = values.OptionalText(Key) ?? "default";
        return s_all.FirstOrDefault(s => s.Name == name)
            ?? throw values.Fault(Key, $"is {MessageText.Text(name)}, but Koala knows {string.Join(", ", s_all.Select(s => s.Name))}", "use a model with one of these pre-tokenizers");
    }

    private static SplitStep[] Cut(params Regex[] patterns) => [.. patterns.Select(pattern => new SplitStep(pattern, SplitBehaviour.Isolated))];
}
