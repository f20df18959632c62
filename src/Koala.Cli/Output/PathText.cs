namespace Koala.Cli.Output;

/// <summary>Paths as a user would type them.</summary>
internal static class PathText
{
    /// <summary>The path relative to the current folder, if it is below it.</summary>
    public static string Relative(string path)
    {
        var relative = Path.GetRelativePath(Environment.CurrentDirectory, path);
        return relative.StartsWith("..", StringComparison.Ordinal) ? path : relative;
    }
}
