using System.CommandLine;
using Koala.Cli.Export;
using Koala.Cli.Options;
using Koala.Cli.Output;
using Koala.Lab;
using Koala.Lab.Checkpoints;
using Koala.Lab.Checkpoints.Gguf;
using Koala.Lab.Evaluation.Diagnosis;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Published;
using Koala.Lab.Runs;
#if CHARTS
using Koala.Lab.Charts.Pages;
using Koala.Lab.Runtime.Files;
#endif

namespace Koala.Cli.Commands;

/// <summary><c>koala inspect</c>: describes a target, a head, a run or a file of weights, and says what ails a head.</summary>
internal sealed class InspectCommand
{
    private const int Prompts = 20;

    private readonly Streams _streams;
    private readonly ModelOptions _model = new();
    private readonly Argument<string> _path = SharedOptions.PathArgument("path",
        "The folder of a target, a head or a run; a GGUF file, a file of safetensors or of PyTorch, or the name of a pulled "
        + "model (org/name).");
    private readonly Option<string?> _prompts = SharedOptions.Text("--prompts", "FILE",
        $"With --target: prompts of which the first {Prompts} are answered. Default: prompts of Koala's own.");
#if CHARTS
    private readonly Option<string?> _html = SharedOptions.Text("--html", "FILE",
        "With --target: write a page with the curves to this file too.");
#endif
    private readonly Option<bool> _json = SharedOptions.Json();

    private InspectCommand(Streams streams) => _streams = streams;

    public static Command Create(Streams streams)
    {
        var self = new InspectCommand(streams);
        var command = new Command("inspect",
            "Describe a target, a head, a run or a file of weights. With --target, measure what a head predicts and what it could.");
        command.Arguments.Add(self._path);
        self._model.AddTo(command);
        command.AddOptions(self._prompts, self._json);
#if CHARTS
        command.AddOptions(self._html);
#endif
        command.SetAction(self.Run);
        return command;
    }

    private int Run(ParseResult result)
    {
        var (path, json) = (result.GetValue(_path)!, result.GetValue(_json));
        if (result.Has(_model.Target))
        {
            var diagnosis = Measure(result, HeadLocation.Find(path));
#if CHARTS
            if (result.GetValue(_html) is { } page)
                AtomicFile.WriteText(page, ResultPage.OfDiagnosis(diagnosis, $"{path} on {result.GetValue(_model.Target)}").ToHtml());
#endif
            _streams.WriteResult(diagnosis, json);
            return ExitCodes.Done;
        }
        Option[] measured =
        [
            _prompts, _model.Dtype, _model.Device, _model.Threads,
#if CHARTS
            _html,
#endif
        ];
        if (result.FirstGiven(measured) is { } given)
        {
            throw new KoalaException(given.Name, "applies to what is measured with a target, but there is none",
                $"give {_model.Target.Name}, or leave it out");
        }
        var inspection = Inspect(path);
        _streams.Output.WriteLine(json ? JsonOutput.Document(inspection) : JsonOutput.Listing(inspection));
        return ExitCodes.Done;
    }

    private HeadDiagnosis Measure(ParseResult result, HeadLocation location)
    {
        var prompts = result.GetValue(_prompts) is { } file ? Lab.Data.Prompts.Load(file, Prompts) : SamplePrompts.All;
        using var interruption = new Interruption(_streams);
        using var target = _model.Load(result);
        using var head = location.Load(target);
        return HeadDiagnosis.Measure(target, head, prompts, interruption.Token);
    }

    private static object Inspect(string path)
    {
        path = ModelLocation.Find(path).Path;
        if (File.Exists(path)) return GgufFile.IsGguf(path) ? Inspection.OfTarget(path) : Inspection.OfFile(path);
        if (RunFolder.IsRun(path)) return Inspection.OfRun(path);
        if (HeadFolder.IsHead(path)) return Inspection.OfHead(path);
        return PublishedHead.FormatOf(path) is { } format ? Inspection.OfPublished(path, format) : Inspection.OfTarget(path);
    }
}
