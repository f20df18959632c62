namespace Koala.Lab.Runtime.Files;

/// <summary>Where Koala keeps files that it can create again: <c>$XDG_CACHE_HOME/koala</c>, else <c>~/.cache/koala</c>.</summary>
internal static class CacheFolder
{
    /// <summary>The folder, which is created on first use.</summary>
    /// <exception cref="KoalaException">It cannot be created.</exception>
    internal static string Path => Under(Environment.GetEnvironmentVariable("XDG_CACHE_HOME"));

    /// <summary>
    /// Returns what a file in the folder holds. If there is no such file, it is made and kept; where it cannot be kept, or read, it is made
    /// each time.
    /// </summary>
    /// <param name="folder">Returns the folder.</param>
    /// <param name="name">The name of the file, which says all that the content depends on.</param>
    /// <param name="make">Makes the content; null if it cannot be made.</param>
    internal static byte[]? Keep(Func<string> folder, string name, Func<byte[]?> make)
    {
        string file;
        try
        {
            file = System.IO.Path.Combine(folder(), name);
            if (File.Exists(file)) return File.ReadAllBytes(file);
        }
        catch (Exception e) when (e is KoalaException or IOException or UnauthorizedAccessException)
        {
            return make();
        }
        if (make() is not { } content) return null;
        try
        {
            AtomicFile.Write(file, stream => stream.Write(content));
        }
        catch (KoalaException)
        {
            // A folder that can be read only, or a full disk, costs time at the next start and nothing else.
        }
        return content;
    }

    /// <param name="root">The value of XDG_CACHE_HOME.</param>
    internal static string Under(string? root)
    {
        // Not verified: otherwise .NET returns "" for a home that does not exist, and the cache would lie in the working directory.
        if (string.IsNullOrEmpty(root))
        {
            var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.DoNotVerify);
            root = System.IO.Path.Combine(home, ".cache");
        }
        var folder = System.IO.Path.Combine(root, "koala");
        try
        {
            return Directory.CreateDirectory(folder).FullName;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KoalaException(folder, $"cannot be created ({e.Message.TrimEnd('.')})",
                "set XDG_CACHE_HOME to a folder that can be written", e);
        }
    }
}
