using System.CommandLine;
using Koala.Cli.Options;
using Koala.Cli.Output;
using Koala.Lab.Checkpoints.Hub;

namespace Koala.Cli.Commands;

/// <summary><c>koala pull</c>: downloads a target, or one file, from the Hugging Face hub into its cache.</summary>
internal sealed class PullCommand
{
    private readonly Streams _streams;
    private readonly Argument<string> _repo = SharedOptions.Path("repo", "The repository, org/name.");
    private readonly Argument<string> _file = SharedOptions.Path("file", "One file of it. Default: what a target needs (configuration, tokenizer, weights in safetensors).");
    private readonly Option<string?> _revision = SharedOptions.Text("--revision", "NAME", "A branch, a tag or a commit. Default: main.");
    private readonly Option<bool> _json = SharedOptions.Json();
    private readonly Option<bool> _quiet = SharedOptions.Quiet();

    private PullCommand(Streams streams) => _streams = streams;

    public static Command Create(Streams streams)
    {
        var self = new PullCommand(streams);
        self._file.Arity = ArgumentArity.ZeroOrOne;
        var command = new Command("pull", "Download a target, or one file, from the Hugging Face hub into its cache; --target then finds it by its name.")
            { self._repo, self._file, self._revision, self._json, self._quiet };
        command.SetAction(self.Run);
        return command;
    }

    private int Run(ParseResult result)
    {
        var (repo, file, revision) = (result.GetValue(_repo)!, result.GetValue(_file), result.GetValue(_revision) ?? "main");
        using var interruption = new Interruption(_streams);
        HubPull? pull = null;
        try
        {
            ProgressLine.Run(_streams, result.GetValue(_quiet), show =>
                pull = HubDownload.PullAsync(repo, file, revision, progress: new PullProgressText(show), cancel: interruption.Token).GetAwaiter().GetResult());
        }
        catch (OperationCanceledException)
        {
            _streams.Error.WriteLine($"interrupted: what has come is kept. Go on with: koala {string.Join(' ', result.Tokens.Select(token => token.Value))}");
            return ExitCodes.Interrupted;
        }
        if (pull!.WasComplete) Say(result, "nothing downloaded: all of it was here already");
        _streams.Output.WriteLine(result.GetValue(_json) ? JsonOutput.Document(pull) : pull.Path);
        Say(result, $"use it with: --target {pull.Target}");
        return ExitCodes.Done;
    }

    private void Say(ParseResult result, string line)
    {
        if (!result.GetValue(_quiet)) _streams.Error.WriteLine(line);
    }
}
