using System.CommandLine;
using Koala.Cli.Options;
using Koala.Cli.Output;
using Koala.Lab;
using Koala.Lab.Evaluation;
using Koala.Lab.Evaluation.Gates;

namespace Koala.Cli.Commands;

/// <summary><c>koala gate</c>: fails if a measurement has become worse than thresholds allow.</summary>
internal sealed class GateCommand
{
    private const StringSplitOptions TrimmedNames = StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries;

    private readonly Streams _streams;
    private readonly Argument<string> _file = SharedOptions.PathArgument("file", "The gate: a JSON file of thresholds and of the command "
        + "that measures.");
    private readonly Option<string?> _report = SharedOptions.Text("--report", "FILE",
        "Check this report of koala evaluate --out. Default: measure with the gate's own command.");
    private readonly Option<bool> _create = SharedOptions.Flag("--create", "Make the gate from --report instead of checking.");
    private readonly Option<string?> _figures = SharedOptions.Text("--figures", "NAMES",
        $"With --create: the figures of which more is better, separated by commas. Default: {string.Join(',', Gate.StandardFigures)}.");
    private readonly Option<string?> _below = SharedOptions.Text("--below", "AMOUNT",
        $"With --create: how far a figure may fall, as a share such as {StandardBelow}, which is the default.");
    private readonly Option<bool> _json = SharedOptions.Json();

    private GateCommand(Streams streams) => _streams = streams;

    private static string StandardBelow => "2%";

    public static Command Create(Streams streams)
    {
        var self = new GateCommand(streams);
        var command = new Command("gate",
            "Check a measurement against thresholds. The exit code is 1 if one fails, and the rows that failed come first.");
        command.Arguments.Add(self._file);
        command.AddOptions(self._report, self._create, self._figures, self._below, self._json);
        command.SetAction(self.Run);
        return command;
    }

    private int Run(ParseResult result)
    {
        var file = result.GetValue(_file)!;
        if (result.GetValue(_create)) return RunCreate(result, file);
        if (result.FirstGiven(_figures, _below) is { } option)
            throw new KoalaException(option.Name, "is about a new gate", "give --create as well, or leave it out");
        var gate = Gate.Load(file);
        var report = gate.Check(result.GetValue(_report) is { } measured ? ReportFiles.Load(measured) : Measure(file, gate));
        _streams.WriteResult(report, result.GetValue(_json));
        return report.Passed ? ExitCodes.Done : ExitCodes.CheckFailed;
    }

    private int RunCreate(ParseResult result, string file)
    {
        var report = result.GetValue(_report)
            ?? throw new KoalaException(_report.Name, "is missing", "give the report that the gate starts from");
        if (Path.Exists(file)) throw new KoalaException(file, "exists already", "choose another file, or remove it");
        var figures = result.GetValue(_figures)?.Split(',', TrimmedNames) ?? Gate.StandardFigures;
        var measured = ReportFiles.Load(report);
        var gate = Gate.Create(measured, figures, result.GetValue(_below) ?? StandardBelow);
        // A draft that was chosen for this device may be chosen differently next time, and acceptance depends on it.
        string[] draft = measured.DraftLengthChosen ? ChosenDraftText.OptionsOf(measured) : [];
        (gate with { Command = gate.Command is { } command ? [.. WithoutOut(command), .. draft] : null }).Save(file);
        _streams.Output.WriteLine($"the gate is in {file}; check it with: {CommandName.AsTyped} gate {file}");
        return ExitCodes.Done;
    }

    // The file that the command wrote exists already.
    private static string[] WithoutOut(IReadOnlyList<string> command)
    {
        var at = command.ToList().IndexOf("--out");
        return [.. command.Where((_, i) => at < 0 || (i != at && i != at + 1))];
    }

    private EvaluationReport Measure(string file, Gate gate)
    {
        if (gate.Command is not ["evaluate", ..])
            throw new KoalaException(file, "has no command that begins with evaluate, so nothing is measured", "give --report FILE");
        var folder = Directory.CreateTempSubdirectory("koala-gate-");
        try
        {
            var report = Path.Combine(folder.FullName, "report.json");
            // The command prints its own report, which here is only progress. A check that failed shows in the report's figures.
            var code = KoalaCommand.Run([.. gate.Command, "--out", report], _streams with { Output = TextWriter.Null });
            return code is ExitCodes.Done or ExitCodes.CheckFailed
                ? ReportFiles.Load(report)
                : throw new KoalaException(file, $"its command ended with exit code {code}", "correct the command in the gate");
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
