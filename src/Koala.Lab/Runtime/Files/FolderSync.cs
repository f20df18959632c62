using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Koala.Lab.Runtime.Files;

/// <summary>
/// Writes a folder's entries to disk: a rename survives a power cut only after the folder that contains the name is synced.
/// </summary>
internal static partial class FolderSync
{
    private const int ReadOnlyCloseOnExec = 0x80000;   // O_RDONLY | O_CLOEXEC on Linux

    /// <exception cref="IOException">The folder cannot be opened or synced.</exception>
    internal static void Flush(string folder)
    {
        // .NET refuses to open a folder. Outside Linux the order of writes is left to the file system's journal.
        if (!OperatingSystem.IsLinux()) return;
        var descriptor = Open(folder, ReadOnlyCloseOnExec);
        if (descriptor < 0) throw new IOException($"{folder} cannot be synced ({Marshal.GetLastPInvokeErrorMessage()})");
        using var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        RandomAccess.FlushToDisk(handle);
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Open(string path, int flags);
}
