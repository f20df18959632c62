using System.Text.Json.Serialization;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Runtime;

namespace Koala.Lab.Decoding;

/// <summary>An answer.</summary>
/// <param name="PromptTokens">The token ids of the prompt.</param>
/// <param name="Tokens">
/// The token ids of the answer. An end-of-sequence token that ended the answer is the last of them.
/// </param>
/// <param name="Text">The text of the answer, without special tokens, cut before a stop text.</param>
/// <param name="FinishReason">Why the answer ended.</param>
/// <param name="Seconds">
/// The wall-clock seconds from the beginning of prefill to the last round. In a batch they contain the prefill of answers that began in the
/// meantime.
/// </param>
/// <param name="PrefillSeconds">
/// The part of these seconds that the prompt and the first token took; in a batch also the prompts that began with it.
/// </param>
/// <param name="Rounds">The trace. The baseline has rounds in which nothing is drafted.</param>
[TypeFormatterSource]
public sealed record Generation(
    IReadOnlyList<int> PromptTokens, IReadOnlyList<int> Tokens, string Text,
    [property: JsonPropertyName("finish")] FinishReason FinishReason, double Seconds, double PrefillSeconds, IReadOnlyList<Round> Rounds)
{
    /// <summary>
    /// Seconds of the rounds per token. The first token comes from prefill and does not count. NaN if there was no
    /// round.
    /// </summary>
    [JsonIgnore]
    public double SecondsPerToken => Rounds.Count == 0 ? double.NaN : (Seconds - PrefillSeconds) / (Tokens.Count - 1);
}

/// <summary>Why an answer ended.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<FinishReason>))]
public enum FinishReason
{
    /// <summary>The answer reached an end-of-sequence token or a stop text.</summary>
    [JsonStringEnumMemberName("stop")]
    Stop,

    /// <summary>The answer reached the token limit or the end of the context.</summary>
    [JsonStringEnumMemberName("length")]
    Length,
}

/// <summary>What one round added to an answer that streams.</summary>
/// <param name="Text">The text that is certain now; it may be empty.</param>
/// <param name="Tokens">The tokens that were committed.</param>
/// <param name="Origins">Where each of the tokens came from. <see cref="AnswerPieces"/> divides the text by them.</param>
public sealed record GenerationChunk(string Text, IReadOnlyList<int> Tokens, IReadOnlyList<TokenOrigin> Origins);
