namespace Koala.Cli;

/// <summary>What the user typed to start this command, so that a line of a hint can be typed as it stands.</summary>
internal static class OwnName
{
    // Set by the script `koala` of a clone, to what it was called by.
    private const string Variable = "KOALA_COMMAND";

    public static string Typed => Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } typed ? typed : "koala";
}
