using System.Text.Json.Serialization;

namespace Koala.Lab.Checkpoints.Hub;

/// <summary>The result of a pull.</summary>
/// <param name="Repo">The repository, org/name.</param>
/// <param name="Revision">The requested branch, tag or commit.</param>
/// <param name="Commit">The commit that the revision named.</param>
/// <param name="Path">The path of the folder, or of the one file that was requested.</param>
/// <param name="Target">The name by which <see cref="ModelLocation.Find(string)"/> finds the model.</param>
/// <param name="Files">The files of the pull.</param>
public sealed record HubPull(string Repo, string Revision, string Commit, string Path, string Target, IReadOnlyList<PulledFile> Files)
{
    /// <summary>Whether the cache had all files already.</summary>
    [JsonIgnore] public bool WasComplete => Files.All(file => !file.Downloaded);
}

/// <summary>A file of a pull.</summary>
/// <param name="Name">Its path in the repository.</param>
/// <param name="Size">Its length in bytes.</param>
/// <param name="Hash">Its SHA-256 (64 hex digits) if it is large, otherwise git's blob SHA-1 (40 hex digits).</param>
/// <param name="Downloaded">Whether it was downloaded; false if the cache had it already.</param>
public sealed record PulledFile(string Name, long Size, string Hash, bool Downloaded);
