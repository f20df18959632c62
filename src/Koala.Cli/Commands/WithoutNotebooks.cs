using System.CommandLine;
using Koala.Lab;

namespace Koala.Cli.Commands;

/// <summary>What stands in a bundle in place of the notebook commands.</summary>
internal static class WithoutNotebooks
{
    public static Command Create(string name)
    {
        var command = new Command(name, "Not part of a bundle.") { TreatUnmatchedTokensAsErrors = false };
        command.SetAction(int (_) => throw new KoalaException($"koala {name}", "is not here: a bundle has no notebooks", "run notebooks in a clone of Koala"));
        return command;
    }
}
