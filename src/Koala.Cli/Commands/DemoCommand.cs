using System.CommandLine;
using System.Globalization;
using System.Runtime.CompilerServices;
using Koala.Cli.Options;
using Koala.Cli.Output;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Cost;
using Koala.Lab.Heads;
using Koala.Lab.Targets;
using Koala.Lab.Text.Chat;

namespace Koala.Cli.Commands;

/// <summary><c>koala demo</c>: one answer of the shipped target, without a head and with one, side by side.</summary>
internal sealed class DemoCommand
{
    private const string TargetName = "koala-mini";
    private const string HeadName = "koala-mini-eagle-k2";
    private const string Question = "Why is the sky blue?";
    private const int MaxTokens = 120;

    // Each side answers as often, in turns: a single answer takes a fraction of a second, which is little to judge a speed by.
    private const int Answers = 7;

    private static readonly TimeSpan s_tuningBudget = TimeSpan.FromSeconds(1.5);

    private readonly Streams _streams;
    private readonly Option<string?> _prompt = SharedOptions.Text("--prompt", "TEXT", $"The prompt to answer. Default: \"{Question}\"");

    private DemoCommand(Streams streams) => _streams = streams;

    public static Command Create(Streams streams)
    {
        var self = new DemoCommand(streams);
        var command = new Command("demo",
            "Show one answer of the shipped target, without a draft head and with one: the same text in fewer steps.");
        command.AddOptions(self._prompt);
        command.SetAction(self.Run);
        return command;
    }

    private int Run(ParseResult result)
    {
        var checkpoints = Path.Combine(Clone.Find(AppContext.BaseDirectory, "demo", "shows models of the project"), "checkpoints");
        using var interruption = new Interruption(_streams);
        var cancel = interruption.Token;
        using var target = Target.Load(Path.Combine(checkpoints, TargetName));
        using var head = DraftHead.Load(Path.Combine(checkpoints, HeadName), target);
        using var alone = new SpeculativeDecoder(target);
        using var with = new SpeculativeDecoder(target, head);
        var question = result.GetValue(_prompt) ?? Question;
        var prompt = target.Tokenizer.EncodeChat([new Message("user", question)]);
        var options = new GenerationOptions { MaxTokens = MaxTokens };

        var (choice, _) = DraftLengthTuner.Measure(target, head, [[prompt]], options, s_tuningBudget, _streams.Limits, cancel);
        options = choice.ApplyTo(options);
        var (left, right) = (new List<TimedAnswer>(), new List<TimedAnswer>());
        for (var i = 0; i < Answers; i++)
        {
            left.Add(TimedAnswer.Of(alone, prompt, options, cancel));
            right.Add(TimedAnswer.Of(with, prompt, options, cancel));
        }
        var race = new Race(TimedAnswer.Median(left), TimedAnswer.Median(right));

        _streams.Output.WriteLine($"Prompt: {question}");
        var drafted = Tokens(choice.Tree?.Nodes ?? choice.Length);
        _streams.Output.WriteLine($"Target {TargetName}, draft head {HeadName}, {drafted} drafted per round.");
        _streams.Output.WriteLine();
        DemoScreen.Show(_streams, race, target.Tokenizer, cancel);
        _streams.Output.WriteLine();
        WriteFigures(race);
        if (choice.Disturbances.Count > 0) _streams.Error.WriteLine(Disturbances.Line(choice.Disturbances));
        _streams.Output.WriteLine();
        WriteNext(checkpoints, question);
        return race.Equal ? ExitCodes.Done : ExitCodes.CheckFailed;
    }

    private void WriteFigures(Race race)
    {
        var (left, right) = (race.Alone, race.WithHead);
        var speedup = right.TokensPerSecond / left.TokensPerSecond;
        var tokens = left.Answer.Tokens.Count;
        _streams.Output.WriteLine("               tokens/s   rounds   acceptance length");
        WriteRow("target alone", left);
        WriteRow("with the head", right);
        _streams.Output.WriteLine(
            Invariant($"With the head it is {speedup:F2} times as fast (medians of {Answers} answers each, in turns)."));
        if (speedup < 1)
            _streams.Output.WriteLine("It saves steps of the target, but this target is so small that drafting takes longer than they do.");
        _streams.Output.WriteLine(race.Equal
            ? $"The two texts are equal: checked over all {tokens} tokens."
            : $"The two texts differ from token {race.FirstDifference + 1} on, which must not be: please report it.");
    }

    private void WriteRow(string name, TimedAnswer answer) => _streams.Output.WriteLine(Invariant(
        $"{name,-15}{answer.TokensPerSecond,8:F0}   {answer.Answer.Rounds.Count,6}   {answer.AcceptanceLength,17:F2}"));

    private void WriteNext(string checkpoints, string question)
    {
        var (koala, folder) = (CommandName.AsTyped, Shortest(checkpoints));
        string[] models = [$"--target {Path.Combine(folder, TargetName)}", $"--head {Path.Combine(folder, HeadName)}"];
        var quotable = question.Replace("\"", "\\\"", StringComparison.Ordinal);
        TypedCommand[] next =
        [
            new("A prompt of yours", [$"{koala} generate", .. models, "--colour", $"--prompt \"{quotable}\""]),
            new("The idea step by step, and a head that you train",
                [$"{koala} run {Shortest(Path.Combine(checkpoints, "..", "notebooks", "01-quickstart.ipynb"))}", "--html quickstart.html"]),
            new("What the head brings over many prompts",
                [$"{koala} evaluate", .. models, $"--prompts {Shortest(Path.Combine(checkpoints, "..", "data", "mt-bench.jsonl"))}"]),
        ];
        var profile = _streams.ConsoleOf(_streams.Output).Profile;
        int? width = profile.Out.IsTerminal ? profile.Width : null;
        foreach (var command in next) _streams.Output.WriteLine(command.Render(width));
    }

    // In the clone a short path can be typed; elsewhere only the whole one is right.
    private static string Shortest(string path)
    {
        var relative = Path.GetRelativePath(Environment.CurrentDirectory, path);
        return relative.StartsWith("..", StringComparison.Ordinal) ? Path.GetFullPath(path) : relative;
    }

    private static string Invariant(DefaultInterpolatedStringHandler text) => string.Create(CultureInfo.InvariantCulture, ref text);

    private static string Tokens(int count) => count == 1 ? "1 token" : $"{count} tokens";
}
