namespace Koala.Lab.Runtime.Files;

/// <summary>Where Koala keeps what can be made again: <c>$XDG_CACHE_HOME/koala</c>, else <c>~/.cache/koala</c>.</summary>
public static class CacheFolder
{
    /// <summary>The folder; made on first use.</summary>
    /// <exception cref="KoalaException">It cannot be made.</exception>
    public static string Path => Under(Environment.GetEnvironmentVariable("XDG_CACHE_HOME"));

    /// <param name="root">What XDG_CACHE_HOME says.</param>
    internal static string Under(string? root)
    {
        // Not verified: of a home that does not exist .NET else says "", and the cache would lie in the working directory.
        if (string.IsNullOrEmpty(root))
            root = System.IO.Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.DoNotVerify), ".cache");
        var folder = System.IO.Path.Combine(root, "koala");
        try
        {
            return Directory.CreateDirectory(folder).FullName;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KoalaException(folder, $"cannot be made ({e.Message.TrimEnd('.')})", "name a folder that can be written in XDG_CACHE_HOME", e);
        }
    }
}
