using System.Text.Json;
using Koala.Lab.Evaluation;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Tests.Evaluation;

/// <summary>Reports of evaluations that did not take place.</summary>
internal static class Reports
{
    /// <summary>A report with answers.</summary>
    /// <param name="answers">Accepted candidates, rounds and seconds per token of each answer, in the order of the prompts.</param>
    public static EvaluationReport Create(IEnumerable<(int Accepted, int Rounds, double SecondsPerToken)> answers)
    {
        AnswerReport[] all = Answers(answers);
        var rounds = all.Sum(answer => answer.Speculative.Rounds);
        var mean = 1 + all.Sum(answer => answer.Speculative.Accepted) / (double)rounds;
        var json = JsonSerializer.Serialize(new
        {
            Target = "a target", Head = "a head", Device = "cpu", Dtype = "fp32", Threads = 2, Temperature = 0.0, DraftLength = 4,
            Repeats = 1, Prompts = all.Length, Skipped = 0, Tokens = 10, Lossless = true, NearTies = (int?)null, EqualAnswers = all.Length,
            AcceptanceLength = new MeanInterval(mean, mean - 0.1, mean + 0.1), PositionAcceptance = (double[])[0.7, 0.5],
            Baseline = new Throughput(100, 10), Speculative = new Throughput(150, 12), Speedup = new MedianInterval(1.5, 1.4, 1.6),
            Round = new RoundTimes(1, 2, 3), ByCategory = Array.Empty<CategoryReport>(),
        }, JsonFormat.Document);
        return JsonSerializer.Deserialize<EvaluationReport>(json, JsonFormat.Document)! with { Answers = all };
    }

    /// <summary>Answers alone.</summary>
    public static AnswerReport[] Answers(IEnumerable<(int Accepted, int Rounds, double SecondsPerToken)> answers) =>
        [.. answers.Select((a, i) => Answer($"{i}", a.Accepted, a.Rounds, a.SecondsPerToken))];

    private static AnswerReport Answer(string prompt, int accepted, int rounds, double secondsPerToken) => new()
    {
        Prompt = prompt, Category = "", Turn = 1, PromptTokens = 10, Equal = true,
        Baseline = Times(rounds + accepted, 0, 0.01, null),
        Speculative = Times(rounds, accepted, secondsPerToken, [.. Enumerable.Repeat(1, rounds - 1), accepted + 1]),
    };

    private static AnswerTimes Times(int rounds, int accepted, double secondsPerToken, int[]? committed) =>
        new(rounds + accepted + 1, rounds, accepted, 0.005, secondsPerToken, [.. Enumerable.Repeat(1.5f, rounds)])
        {
            Committed = committed,
        };
}
