using Koala.Lab;

namespace Koala.Cli;

/// <summary>The clone of the project that this command was built in.</summary>
internal static class Clone
{
    /// <summary>Finds the root of the clone.</summary>
    /// <param name="start">A folder in it.</param>
    /// <param name="command">The command that needs it, for the message.</param>
    /// <param name="need">What it needs it for, as a verb with its object.</param>
    /// <exception cref="KoalaException">The folder is not in a clone.</exception>
    public static string Find(string start, string command, string need)
    {
        var clone = new DirectoryInfo(start);
        while (clone is not null && !File.Exists(Path.Combine(clone.FullName, "Koala.slnx"))) clone = clone.Parent;
        return clone?.FullName ?? throw new KoalaException($"koala {command}",
            $"{need}, but this koala is not in a clone of the project", $"run ./koala {command} in a clone");
    }
}
