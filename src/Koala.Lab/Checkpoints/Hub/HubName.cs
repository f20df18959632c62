using System.Text.RegularExpressions;

namespace Koala.Lab.Checkpoints.Hub;

/// <summary>What a model of the hub is called: <c>org/name</c>, <c>org/name@revision</c>, or with a file of it behind, <c>org/name/file.gguf</c>.</summary>
/// <param name="Repo">The repository, <c>org/name</c>.</param>
/// <param name="Revision">A branch, a tag or a commit.</param>
/// <param name="File">A file of the repository; null: all that a target needs.</param>
internal sealed partial record HubName(string Repo, string Revision, string? File)
{
    public const string StandardRevision = "main";

    /// <summary>As <see cref="ModelLocation.Find(string)"/> takes it.</summary>
    public override string ToString() => $"{Repo}{(Revision == StandardRevision ? "" : $"@{Revision}")}{(File is null ? "" : $"/{File}")}";

    /// <summary>Reads a name; null where the text is none. Nothing of it leads out of the cache's folder.</summary>
    public static HubName? TryParse(string text)
    {
        if (text.Split('/', 3) is not [var organisation, var model, .. var rest]) return null;
        var at = model.IndexOf('@', StringComparison.Ordinal);
        var name = new HubName($"{organisation}/{(at < 0 ? model : model[..at])}", at < 0 ? StandardRevision : model[(at + 1)..], rest is [var file] ? file : null);
        return IsRepo(name.Repo) && IsRevision(name.Revision) && (name.File is null || IsFile(name.File)) ? name : null;
    }

    /// <summary>Whether the text is a repository's name by the hub's own rules: letters, digits, <c>-</c>, <c>_</c>, <c>.</c>, of which <c>--</c> and <c>..</c> stand nowhere.</summary>
    public static bool IsRepo(string text) => Repository().IsMatch(text) && !text.Contains("--", StringComparison.Ordinal) && !text.Contains("..", StringComparison.Ordinal);

    /// <summary>Whether the text can be a revision, and so a file's name under <c>refs</c>.</summary>
    public static bool IsRevision(string text) => IsFile(text);

    /// <summary>Whether the text is a path inside a repository that stays inside: folders and a name, no step up, no root, no drive.</summary>
    public static bool IsFile(string text) =>
        text.Length is > 0 and <= 1024 && !text.Any(c => c is '\\' or ':' || char.IsControl(c) || char.IsSurrogate(c)) && text.Split('/').All(part => part is not ("" or "." or ".."));

    /// <summary>Whether the text is a commit's hash, 40 hex digits.</summary>
    public static bool IsCommit(string text) => text.Length == 40 && text.All(char.IsAsciiHexDigitLower);

    [GeneratedRegex(@"^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?/[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?\z")]
    private static partial Regex Repository();
}
