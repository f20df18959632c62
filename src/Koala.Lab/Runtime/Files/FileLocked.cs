namespace Koala.Lab.Runtime.Files;

/// <summary>Distinguishes a file that another process has locked from other faults.</summary>
internal static class FileLocked
{
    /// <summary>
    /// Whether a file could not be opened because another process has it open: EWOULDBLOCK on Linux and on macOS, the sharing
    /// violation on Windows.
    /// </summary>
    internal static bool Is(IOException e) => e.HResult is 11 or 35 or unchecked((int)0x80070020);
}
