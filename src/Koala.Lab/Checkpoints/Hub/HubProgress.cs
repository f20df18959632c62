namespace Koala.Lab.Checkpoints.Hub;

/// <summary>The progress of a pull or a push.</summary>
/// <param name="File">The current file.</param>
/// <param name="Index">The number of the current file, from 1.</param>
/// <param name="Files">The number of files.</param>
/// <param name="Done">The number of bytes of all files that are now where they should be.</param>
/// <param name="Total">The number of bytes of all files.</param>
/// <param name="Transferred">The number of bytes that have been received from the network, or sent.</param>
/// <param name="Note">The reason for waiting; null if nothing is waited for.</param>
public sealed record HubProgress(
    string File, int Index, int Files, long Done, long Total, long Transferred, string? Note = null);
