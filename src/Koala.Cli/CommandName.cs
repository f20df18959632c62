using System.CommandLine;

namespace Koala.Cli;

/// <summary>The name by which the user called this command, so that hints can be typed as they are printed.</summary>
internal static class CommandName
{
    // The script `koala` of a clone sets this variable to the name that it was called by.
    private const string Variable = "KOALA_COMMAND";

    public static string AsTyped => Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } typed ? typed : "koala";

    /// <summary>The command and its parents as its help names them, such as <c>koala kernel start</c>.</summary>
    public static string OfHelp(Command command) =>
        command.Parents.OfType<Command>().FirstOrDefault() is { } parent ? $"{OfHelp(parent)} {command.Name}" : command.Name;
}
