using System.Text.RegularExpressions;
using Koala.Lab.Checkpoints.Gguf;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>The pre-tokenizers by the names that GGUF files use.</summary>
/// <remarks>
/// The patterns are applied in order, each to the pieces of the one before it. What none of them matches is a piece of
/// its own. The other settings of a name are those of the models' own tokenizer.json.
/// </remarks>
internal static partial class GgufPreTokenizers
{
    private const string Key = "tokenizer.ggml.pre";

    private const string Contractions = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])";

    // GPT-2's contractions in either case, whole words, up to three digits.
    [GeneratedRegex(Contractions + @"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")]
    private static partial Regex Llama3Pattern { get; }

    // The same with single digits.
    [GeneratedRegex(Contractions + @"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")]
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
        .. ((string[])["smollm", "starcoder", "refact", "command-r"])
            .Select(name => new Style(name, Cut(PreTokenizer.DigitPattern, PreTokenizer.Gpt2Pattern))),
        new("default", Cut(PunctuationPattern, PreTokenizer.Gpt2Pattern, NumberPattern, ThreeDigitsPattern)),
        new("llama-bpe", Cut(Llama3Pattern)) { IgnoreMerges = true, AddsBeginOfSequence = true },
        new("qwen2", Cut(Qwen2Pattern)) { Compose = true },
    ];

    /// <summary>The patterns of a pre-tokenizer, and the settings that come with them.</summary>
    internal sealed record Style(string Name, IReadOnlyList<SplitStep> Steps)
    {
        /// <summary>Whether a piece that is a token becomes that token, whatever the merges say.</summary>
        public bool IgnoreMerges { get; init; }

        /// <summary>Whether the begin-of-sequence token is put before a text unless the file says otherwise.</summary>
        public bool AddsBeginOfSequence { get; init; }

        /// <summary>Whether the text is first composed (NFC).</summary>
        public bool Compose { get; init; }
    }

    /// <summary>The style of a file. Files that name none are older than the names.</summary>
    /// <exception cref="KoalaException">Koala does not know the name.</exception>
    internal static Style Find(GgufMetadata values)
    {
        var name = values.OptionalText(Key) ?? "default";
        return s_all.FirstOrDefault(style => style.Name == name) ?? throw values.Fault(
            Key,
            $"is {MessageText.Text(name)}, but Koala knows {string.Join(", ", s_all.Select(style => style.Name))}",
            "use a model with one of these pre-tokenizers");
    }

    private static SplitStep[] Cut(params Regex[] patterns) =>
        [.. patterns.Select(pattern => new SplitStep(pattern, SplitBehaviour.Isolated))];
}
