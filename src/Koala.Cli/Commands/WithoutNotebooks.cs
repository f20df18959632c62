using System.CommandLine;
using Koala.Lab;

namespace Koala.Cli.Commands;

/// <summary>Replaces the commands of notebooks and charts in a bundle, which has none.</summary>
internal static class WithoutNotebooks
{
    public static Command Create(string name)
    {
        var command = new Command(name, "Not available in a bundle.") { TreatUnmatchedTokensAsErrors = false };
        command.SetAction(int (_) => throw new KoalaException(
            $"koala {name}", "is not available: a bundle has no notebooks and no charts", "run it in a clone of Koala"));
        return command;
    }
}
