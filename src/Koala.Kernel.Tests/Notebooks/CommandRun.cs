using Koala.Cli;

namespace Koala.Kernel.Tests.Notebooks;

/// <summary>The result of the <c>koala</c> command, which runs in this process.</summary>
internal sealed record CommandRun(int ExitCode, string Output, string Error)
{
    public static CommandRun Of(params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var exitCode = KoalaCommand.Run(args, output, error);
        return new CommandRun(exitCode, output.ToString(), error.ToString());
    }
}
