using System.CommandLine;
using Koala.Cli.Options;
using Koala.Cli.Output;
using Koala.Lab.Checkpoints.Hub;

namespace Koala.Cli.Commands;

/// <summary><c>koala pull</c>: downloads a target, or one file, from the Hugging Face hub into its cache.</summary>
internal sealed class PullCommand
{
    private readonly Streams _streams;
    private readonly Argument<string> _repo = SharedOptions.PathArgument("repo", "The repository, org/name.");
    private readonly Argument<string> _file = SharedOptions.PathArgument("file",
        "One file of the repository. Default: what a target needs (configuration, tokenizer, weights in safetensors).");
    private readonly Option<string?> _revision = SharedOptions.Text("--revision", "NAME",
        "The branch, tag or commit. Default: main.");
    private readonly Option<bool> _json = SharedOptions.Json();
    private readonly Option<bool> _quiet = SharedOptions.Quiet();

    private PullCommand(Streams streams) => _streams = streams;

    public static Command Create(Streams streams)
    {
        var self = new PullCommand(streams);
        self._file.Arity = ArgumentArity.ZeroOrOne;
        var command = new Command("pull",
            "Download a target, or one file, from the Hugging Face hub into its cache. Afterwards --target finds it by its name.")
            { self._repo, self._file, self._revision, self._json, self._quiet };
        command.SetAction(self.Run);
        return command;
    }

    private int Run(ParseResult result)
    {
        var (repo, file) = (result.GetValue(_repo)!, result.GetValue(_file));
        var revision = result.GetValue(_revision) ?? "main";
        using var interruption = new Interruption(_streams);
        HubPull? pull = null;
        try
        {
            ProgressLine.Run(_streams, result.GetValue(_quiet), show =>
            {
                var progress = new HubProgressText(show);
                var pulling = HubDownload.PullAsync(repo, file, revision, progress: progress, cancel: interruption.Token);
                pull = pulling.GetAwaiter().GetResult();
            });
        }
        catch (OperationCanceledException)
        {
            var arguments = string.Join(' ', result.Tokens.Select(token => token.Value));
            _streams.Error.WriteLine($"interrupted: what was downloaded is kept. Go on with: {CommandName.AsTyped} {arguments}");
            return ExitCodes.Interrupted;
        }
        if (pull!.WasComplete) Note(result, "nothing downloaded: everything was in the cache already");
        _streams.Cell?.SetValue(pull.Path, isPrinted: true);
        _streams.Output.WriteLine(result.GetValue(_json) ? JsonOutput.Document(pull) : pull.Path);
        Note(result, $"use it with: --target {pull.Target}");
        return ExitCodes.Done;
    }

    private void Note(ParseResult result, string line)
    {
        if (!result.GetValue(_quiet)) _streams.Error.WriteLine(line);
    }
}
