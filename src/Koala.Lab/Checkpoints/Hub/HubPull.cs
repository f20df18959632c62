using System.Text.Json.Serialization;

namespace Koala.Lab.Checkpoints.Hub;

/// <summary>What a pull came to.</summary>
/// <param name="Repo">The repository, org/name.</param>
/// <param name="Revision">What was asked for: a branch, a tag or a commit.</param>
/// <param name="Commit">The commit that this named.</param>
/// <param name="Path">The folder, or the one file that was asked for.</param>
/// <param name="Target">The name by which <see cref="ModelLocation.Find(string)"/> finds it.</param>
/// <param name="Files">Its files.</param>
public sealed record HubPull(string Repo, string Revision, string Commit, string Path, string Target, IReadOnlyList<PulledFile> Files)
{
    /// <summary>Whether everything was here already.</summary>
    [JsonIgnore] public bool WasComplete => Files.All(file => !file.Downloaded);
}

/// <summary>A file of a pull.</summary>
/// <param name="Name">Its path inside the repository.</param>
/// <param name="Size">Bytes.</param>
/// <param name="Hash">SHA-256 (64 hex digits) of large files, git's blob SHA-1 (40) of the others.</param>
/// <param name="Downloaded">False: it was here already.</param>
public sealed record PulledFile(string Name, long Size, string Hash, bool Downloaded);

/// <summary>Where a pull stands.</summary>
/// <param name="File">The file it is at.</param>
/// <param name="Index">The file's number, from 1.</param>
/// <param name="Files">Files in all.</param>
/// <param name="Done">Bytes that are here, of all files.</param>
/// <param name="Total">Bytes in all.</param>
/// <param name="Received">Bytes that came over the network by now.</param>
/// <param name="Note">What keeps it waiting; null where it goes on.</param>
public sealed record PullProgress(string File, int Index, int Files, long Done, long Total, long Received, string? Note = null);
