using System.Text.RegularExpressions;

namespace Koala.Lab.Checkpoints.Hub;

/// <summary>
/// The name of a model on the hub, <c>org/name</c> or <c>org/name@revision</c>, or of one of its files, <c>org/name/file.gguf</c>.
/// </summary>
/// <param name="Repo">The repository, <c>org/name</c>.</param>
/// <param name="Revision">A branch, a tag or a commit.</param>
/// <param name="File">A file of the repository; null stands for all files that a target needs.</param>
internal sealed partial record HubName(string Repo, string Revision, string? File)
{
    public const string StandardRevision = "main";

    /// <summary>Returns the name as <see cref="ModelLocation.Find(string)"/> reads it.</summary>
    public override string ToString() => $"{Repo}{(Revision == StandardRevision ? "" : $"@{Revision}")}{(File is null ? "" : $"/{File}")}";

    /// <summary>Reads a name; null if the text is not a name. No name leads outside the cache's folder.</summary>
    public static HubName? TryParse(string text)
    {
        if (text.Split('/', 3) is not [var organization, var modelAndRevision, .. var rest]) return null;
        var (model, revision) = modelAndRevision.Split('@', 2) is [var before, var after]
            ? (before, after)
            : (modelAndRevision, StandardRevision);
        var name = new HubName($"{organization}/{model}", revision, rest is [var file] ? file : null);
        return IsRepo(name.Repo) && IsRevision(name.Revision) && (name.File is null || IsFile(name.File)) ? name : null;
    }

    /// <summary>
    /// Whether the text is a repository's name by the hub's rules: letters, digits, <c>-</c>, <c>_</c> and <c>.</c>, but neither
    /// <c>--</c> nor <c>..</c>.
    /// </summary>
    public static bool IsRepo(string text) => Repository().IsMatch(text)
        && !text.Contains("--", StringComparison.Ordinal) && !text.Contains("..", StringComparison.Ordinal);

    /// <summary>Whether the text can be a revision, and thus the name of a file in <c>refs</c>.</summary>
    public static bool IsRevision(string text) => IsFile(text);

    /// <summary>
    /// Whether the text is a path that stays inside a repository: folders and a name, but no parent folder, no root and no drive.
    /// </summary>
    public static bool IsFile(string text)
    {
        if (text.Length is 0 or > 1024) return false;
        if (text.Any(c => c is '\\' or ':' || char.IsControl(c) || char.IsSurrogate(c))) return false;
        return text.Split('/').All(part => part is not ("" or "." or ".."));
    }

    /// <summary>Whether the text is a commit's hash, 40 hex digits.</summary>
    public static bool IsCommit(string text) => text.Length == 40 && text.All(char.IsAsciiHexDigitLower);

    [GeneratedRegex(@"^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?/[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?\z")]
    private static partial Regex Repository();
}
