using System.CommandLine;
using Koala.Cli.Options;
using Koala.Cli.Output;
using Koala.Lab.Checkpoints.Hub;
using Koala.Lab.Results;

namespace Koala.Cli.Commands;

/// <summary><c>koala push</c>: uploads a head with a model card to the Hugging Face hub.</summary>
internal sealed class PushCommand
{
    private readonly Streams _streams;
    private readonly Argument<string> _folder = SharedOptions.PathArgument("folder",
        "The folder of a run, of a head, or of a head in another format.");
    private readonly Argument<string> _repo = SharedOptions.PathArgument("repo", "The repository, org/name. It is made if there is none.");
    private readonly Option<string?> _revision = SharedOptions.Text("--revision", "NAME", "The branch. Default: main.");
    private readonly Option<bool> _private = SharedOptions.Flag("--private", "Make the repository private if it has to be made.");
    private readonly Option<string?> _message = SharedOptions.Text("--message", "TEXT", "The first line of the commit's message.");
    private readonly Option<string?> _baseModel = SharedOptions.Text("--base-model", "ORG/NAME",
        "The target's name on the hub, for the card. Default: the target's name if it is one.");
    private readonly Option<string?> _licence = SharedOptions.Text("--licence", "ID",
        "The head's licence, for the card, such as apache-2.0.");
    private readonly Option<string?> _datasets = SharedOptions.Text("--datasets", "LIST",
        "The names on the hub of the training data, for the card, separated by commas.");
    private readonly Option<bool> _dryRun = SharedOptions.Flag("--dry-run", "Print the card and upload nothing.");
    private readonly Option<bool> _json = SharedOptions.Json();
    private readonly Option<bool> _quiet = SharedOptions.Quiet();

    private PushCommand(Streams streams) => _streams = streams;

    public static Command Create(Streams streams)
    {
        var self = new PushCommand(streams);
        var command = new Command("push",
            "Upload a head with a model card to the Hugging Face hub, as one commit. The token in HF_TOKEN must allow it.")
        {
            self._folder, self._repo, self._revision, self._private, self._message, self._baseModel, self._licence, self._datasets,
            self._dryRun, self._json, self._quiet,
        };
        command.SetAction(self.Run);
        return command;
    }

    private int Run(ParseResult result)
    {
        var (folder, repo) = (result.GetValue(_folder)!, result.GetValue(_repo)!);
        var files = HeadRepository.FilesOf(folder, new ModelCardOptions
        {
            BaseModel = result.GetValue(_baseModel),
            Licence = result.GetValue(_licence),
            Use = $"""
                ```
                koala pull {repo}
                koala generate --target {result.GetValue(_baseModel) ?? "TARGET"} --head {repo} --prompt "Why is the sky blue?"
                ```
                """,
            Datasets = result.GetValue(_datasets)?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) ?? [],
        });
        return result.GetValue(_dryRun) ? Show(files) : Push(result, files, repo);
    }

    private int Push(ParseResult result, IReadOnlyList<HubContent> files, string repo)
    {
        var options = new HubPushOptions { Private = result.GetValue(_private) };
        if (result.GetValue(_revision) is { } revision) options = options with { Revision = revision };
        if (result.GetValue(_message) is { } message) options = options with { Message = message };
        using var interruption = new Interruption(_streams);
        HubPush? push = null;
        try
        {
            ProgressLine.Run(_streams, result.GetValue(_quiet), show =>
            {
                var progress = new HubProgressText(show);
                push = HubUpload.PushAsync(files, repo, options, progress: progress, cancel: interruption.Token).GetAwaiter().GetResult();
            });
        }
        catch (OperationCanceledException)
        {
            var arguments = string.Join(' ', result.Tokens.Select(token => token.Value));
            _streams.Error.WriteLine($"interrupted: {repo} is as it was. Go on with: {CommandName.AsTyped} {arguments}");
            return ExitCodes.Interrupted;
        }
        if (push!.WasComplete && !result.GetValue(_quiet))
            _streams.Error.WriteLine("nothing uploaded: the hub had everything already");
        _streams.Cell?.SetValue(push.Url, isPrinted: true);
        _streams.Output.WriteLine(result.GetValue(_json) ? JsonOutput.Document(push) : push.Url);
        return ExitCodes.Done;
    }

    private int Show(IReadOnlyList<HubContent> files)
    {
        foreach (var file in files.Where(file => file.Name.EndsWith(".md", StringComparison.Ordinal)))
            _streams.Output.Write(file.ReadText());
        _streams.Error.WriteLine($"would upload: {string.Join(", ", files.Select(file => file.Name))}");
        return ExitCodes.Done;
    }
}
