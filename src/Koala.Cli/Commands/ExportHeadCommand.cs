using System.CommandLine;
using Koala.Cli.Export;
using Koala.Cli.Options;
using Koala.Lab;
using Koala.Lab.Data;
using Koala.Lab.Evaluation.Acceptance;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Published;
using Koala.Lab.Targets;

namespace Koala.Cli.Commands;

/// <summary><c>koala export</c>: writes a head in a format that another project loads, and checks it.</summary>
internal sealed class ExportHeadCommand
{
    // Prompts of several kinds, so that heads of all depths accept something.
    private const int CheckedPrompts = 20;

    private static readonly (string Name, ExportFormat Format)[] s_formats =
    [
        ("vllm-eagle3", ExportFormat.VllmEagle3), ("speculators", ExportFormat.Speculators), ("vllm-medusa", ExportFormat.VllmMedusa),
        ("sglang-eagle3", ExportFormat.SglangEagle3), ("medusa", ExportFormat.Medusa), ("eagle", ExportFormat.Eagle),
    ];

    private readonly Streams _streams;
    private readonly ModelOptions _model = new();
    private readonly Argument<string> _head = SharedOptions.PathArgument("head",
        "The folder of a head, or of a run that has trained one; also a head in the format of another project.");
    private readonly Option<string> _format = SharedOptions.OptionalChoice("--format", "The format to write.",
        [.. s_formats.Select(format => format.Name)]);
    private readonly Option<string?> _out = SharedOptions.Text("--out", "FOLDER", "The folder to write. It must not exist yet.");
    private readonly Option<string?> _prompts = SharedOptions.Text("--prompts", "FILE",
        $"Prompts of which the first {CheckedPrompts} check that the exported head accepts what this one does. "
        + "Default: prompts of Koala's own.");
    private readonly Option<bool> _quiet = SharedOptions.Quiet();

    private ExportHeadCommand(Streams streams) => _streams = streams;

    public static Command Create(Streams streams)
    {
        var self = new ExportHeadCommand(streams);
        var command = new Command("export", "Write a head in a format that vLLM, SGLang or another project loads, and check it.");
        foreach (var option in (Option[])[self._model.Target, self._format, self._out]) option.Required = true;
        command.Arguments.Add(self._head);
        self._model.AddTo(command);
        command.AddOptions(self._format, self._out, self._prompts, self._quiet);
        command.SetAction(self.Run);
        return command;
    }

    private int Run(ParseResult result)
    {
        var path = result.GetValue(_out)!;
        if (Path.Exists(path)) throw new KoalaException(path, "exists already", "choose another --out, or remove it");
        var location = HeadLocation.Find(result.GetValue(_head)!);
        var name = result.GetValue(_format)!;
        var format = Array.Find(s_formats, known => known.Name == name).Format;
        var prompts = result.GetValue(_prompts) is { } file ? Prompts.Load(file, CheckedPrompts) : SamplePrompts.All;

        using var interruption = new Interruption(_streams);
        using var target = _model.Load(result);
        using var head = location.Load(target);
        if (head.Origin is { } origin && !result.GetValue(_quiet)) _streams.Error.WriteLine($"head: {origin}");
        var checkedRounds = "";
        NewFolder.Write(path, folder =>
        {
            HeadExport.Write(head, target, format, folder);
            checkedRounds = Check(head, target, folder, prompts, interruption.Token);
        });
        _streams.Output.WriteLine($"{path}: {name}, {head.ParameterCount} weights of its own; {checkedRounds}");
        return ExitCodes.Done;
    }

    // Reads the export back. A loader that skips a tensor accepts less, so the counts of every position have to be equal.
    private static string Check(DraftHead head, Target target, string folder, IReadOnlyList<Prompt> prompts, CancellationToken cancel)
    {
        using var exported = DraftHead.Load(folder, target);
        var (expected, _) = PositionCounts.Measure(target, head, prompts, cancel: cancel);
        var (found, answers) = PositionCounts.Measure(target, exported, prompts, cancel: cancel);
        if (!expected.SequenceEqual(found))
            throw new InvalidOperationException($"The exported head accepts {Text(found)}, but the head itself {Text(expected)}.");
        return $"read back, it accepts the same tokens on {answers.Count} prompts: {Text(found)} by position";
    }

    private static string Text(IReadOnlyList<PositionCounts> positions) =>
        string.Join(", ", positions.Where(position => position.Reached > 0).Select(p => $"{p.Accepted}/{p.Reached}"));
}
