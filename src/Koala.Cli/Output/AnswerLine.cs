using System.Text.Json.Serialization;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Trace;

namespace Koala.Cli.Output;

/// <summary>An answer as <c>koala generate --json</c> prints it, without the fields that do not apply.</summary>
internal sealed record AnswerLine(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Id,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] int? Turn,
    IReadOnlyList<int> PromptTokens,
    IReadOnlyList<int> Tokens,
    string Text,
    FinishReason Finish,
    double Seconds,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<Round>? Rounds);
