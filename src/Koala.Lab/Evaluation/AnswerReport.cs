using System.Text.Json.Serialization;
using Koala.Lab.Decoding;
using Koala.Lab.Evaluation.Statistics;

namespace Koala.Lab.Evaluation;

/// <summary>The figures of one answer of an evaluation. A line of the file beside a report holds one.</summary>
public sealed record AnswerReport
{
    /// <summary>The prompt's id in its file.</summary>
    public required string Prompt { get; init; }

    /// <summary>The prompt's category; empty where the file does not name it.</summary>
    public required string Category { get; init; }

    /// <summary>The number of the prompt's turn, from 1.</summary>
    public required int Turn { get; init; }

    /// <summary>The number of tokens of the prompt.</summary>
    public required int PromptTokens { get; init; }

    /// <summary>Whether both sides gave the same tokens; null when sampling.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? Equal { get; init; }

    /// <summary>The answer of the target without a drafter.</summary>
    public required AnswerTimes Baseline { get; init; }

    /// <summary>The answer of the target with the drafter.</summary>
    public required AnswerTimes Speculative { get; init; }

    /// <summary>What identifies the answer among those to the same prompts.</summary>
    [JsonIgnore]
    internal (string Prompt, int Turn) Key => (Prompt, Turn);

    internal static IEnumerable<AnswerReport> Of(Measurement measurement) => measurement.Prompts.Select((prompt, i) => new AnswerReport
    {
        Prompt = prompt,
        Category = measurement.Category,
        Turn = measurement.Turn,
        PromptTokens = measurement.Baseline.Answers[i].PromptTokens.Count,
        Equal = measurement.OutputMatch.Count == 0 ? null : measurement.OutputMatch[i] == OutputMatch.Kind.Equal,
        Baseline = AnswerTimes.Of(measurement.Baseline, i),
        Speculative = AnswerTimes.Of(measurement.Speculative, i),
    });
}

/// <summary>One side's answer to a prompt.</summary>
/// <param name="Tokens">The number of tokens; the first one comes with prefill, the others from rounds.</param>
/// <param name="Rounds">The number of rounds.</param>
/// <param name="Accepted">The number of accepted candidates, counted before the end of the answer cuts the last round.</param>
/// <param name="PrefillSeconds">
/// The seconds to the first token, of the first repeat; in batches counted from when the prompt took its place in the batch.
/// </param>
/// <param name="SecondsPerToken">
/// The seconds of the rounds divided by their tokens, the median over the repeats; of a whole group where prompts were answered in batches.
/// NaN, in JSON null, if there was no round.
/// </param>
/// <param name="RoundMs">The milliseconds of each round of the first repeat; in batches those of the whole batch.</param>
public sealed record AnswerTimes(
    int Tokens, int Rounds, int Accepted, double PrefillSeconds, double SecondsPerToken, IReadOnlyList<float> RoundMs)
{
    /// <summary>The tokens of each round; null for the baseline, whose rounds have one each.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? Committed { get; init; }

    /// <summary>The milliseconds of each token of the rounds: a round's time divided among its tokens.</summary>
    internal IEnumerable<double> TokenMs => RoundMs.SelectMany((ms, round) =>
    {
        var tokens = Committed?[round] ?? 1;
        return Enumerable.Repeat((double)ms / tokens, tokens);
    });

    internal static AnswerTimes Of(TimedAnswers side, int number)
    {
        var answer = side.Answers[number];
        var accepted = answer.Rounds.Sum(round => round.Accepted);
        return new AnswerTimes(answer.Tokens.Count, answer.Rounds.Count, accepted, answer.PrefillSeconds, side.SecondsPerToken,
            [.. answer.Rounds.Select(round => MathF.Round((float)(round.DraftMs + round.VerifyMs + round.BookkeepingMs), 4))])
        {
            Committed = answer.Rounds.All(round => round.Drafted == 0) ? null : CommittedOf(answer),
        };
    }

    // The end of an answer cuts its last round.
    private static int[] CommittedOf(Generation answer)
    {
        int[] committed = [.. answer.Rounds.Select(round => round.Committed)];
        committed[^1] -= committed.Sum() - (answer.Tokens.Count - 1);
        return committed;
    }
}
