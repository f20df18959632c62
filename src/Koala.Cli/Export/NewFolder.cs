using Koala.Lab;

namespace Koala.Cli.Export;

/// <summary>Writes a folder that is complete or absent: under another name beside it, which it loses at the end.</summary>
internal static class NewFolder
{
    /// <exception cref="KoalaException">The folder cannot be written or the disk is full; nothing is left behind.</exception>
    public static void Write(string path, Action<string> write)
    {
        var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        var temporary = $"{full}.{Environment.ProcessId}.tmp";
        try
        {
            Directory.CreateDirectory(temporary);
            write(temporary);
            Directory.Move(temporary, full);
        }
        catch (Exception e)
        {
            if (Directory.Exists(temporary)) Directory.Delete(temporary, recursive: true);
            if (e is not (IOException or UnauthorizedAccessException)) throw;
            throw new KoalaException(path, $"cannot be written ({e.Message.TrimEnd('.')})",
                "free space, or choose a folder that can be written", e);
        }
    }
}
