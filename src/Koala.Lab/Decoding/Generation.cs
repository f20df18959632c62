using System.Text.Json.Serialization;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Runtime;

namespace Koala.Lab.Decoding;

/// <summary>An answer.</summary>
/// <param name="PromptTokens">What was asked, as token ids.</param>
/// <param name="Tokens">The answer's token ids; the end-of-sequence id is the last one where it came.</param>
/// <param name="Text">The answer, without special tokens, cut before a stop text.</param>
/// <param name="FinishReason">Why it ended.</param>
/// <param name="Seconds">Wall-clock seconds in all.</param>
/// <param name="PrefillSeconds">Of these, reading the prompt and deciding the first token.</param>
/// <param name="Rounds">The trace: the target alone has rounds of nothing drafted.</param>
[TypeFormatterSource]
public sealed record Generation(
    IReadOnlyList<int> PromptTokens, IReadOnlyList<int> Tokens, string Text,
    [property: JsonPropertyName("finish")] FinishReason FinishReason, double Seconds, double PrefillSeconds, IReadOnlyList<Round> Rounds)
{
    /// <summary>Seconds of the rounds a token; the first token comes from prefill and is not counted. NaN when there was no round.</summary>
    [JsonIgnore]
    public double SecondsPerToken => Rounds.Count == 0 ? double.NaN : (Seconds - PrefillSeconds) / (Tokens.Count - 1);
}

/// <summary>Why an answer ended.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<FinishReason>))]
public enum FinishReason
{
    /// <summary>The end-of-sequence token or a stop text came.</summary>
    [JsonStringEnumMemberName("stop")]
    Stop,

    /// <summary>The token limit or the context was reached.</summary>
    [JsonStringEnumMemberName("length")]
    Length,
}

/// <summary>What a round added to the answer, as it streams.</summary>
/// <param name="Text">Text that is certain now; may be empty.</param>
/// <param name="Tokens">The tokens committed.</param>
public sealed record GenerationChunk(string Text, IReadOnlyList<int> Tokens);
