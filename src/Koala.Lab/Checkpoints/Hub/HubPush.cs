using System.Text.Json.Serialization;

namespace Koala.Lab.Checkpoints.Hub;

/// <summary>How a push is made.</summary>
public sealed record HubPushOptions
{
    /// <summary>The branch that gets the commit; it is made if there is none. Default main.</summary>
    public string Revision { get; init; } = HubName.StandardRevision;

    /// <summary>Whether a repository that has to be made is private. Default false.</summary>
    public bool Private { get; init; }

    /// <summary>The first line of the commit's message. Default "Upload a draft head with Koala".</summary>
    public string Message { get; init; } = "Upload a draft head with Koala";
}

/// <summary>The result of a push.</summary>
/// <param name="Repo">The repository, org/name.</param>
/// <param name="Revision">The branch.</param>
/// <param name="Commit">The commit that the push made; if the hub had everything already, the branch's newest.</param>
/// <param name="Url">The address of the repository at the branch, for a browser.</param>
/// <param name="Files">The files, in the order in which they were given.</param>
public sealed record HubPush(string Repo, string Revision, string Commit, string Url, IReadOnlyList<PushedFile> Files)
{
    /// <summary>Whether the hub had all files already, so that no commit was made.</summary>
    [JsonIgnore] public bool WasComplete => Files.All(file => !file.Uploaded);
}

/// <summary>A file of a push.</summary>
/// <param name="Name">Its path in the repository.</param>
/// <param name="Size">Its length in bytes.</param>
/// <param name="Hash">Its SHA-256, 64 hex digits.</param>
/// <param name="Uploaded">Whether it was uploaded; false if the branch had it already.</param>
public sealed record PushedFile(string Name, long Size, string Hash, bool Uploaded);
