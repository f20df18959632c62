namespace Koala.Lab.Runtime;

/// <summary>Where Koala keeps what can be made again: <c>$XDG_CACHE_HOME/koala</c>, else <c>~/.cache/koala</c>.</summary>
public static class CacheFolder
{
    /// <summary>The folder; made on first use.</summary>
    public static string Path
    {
        get
        {
            var root = Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } set
                ? set
                : System.IO.Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.DoNotVerify), ".cache");
            return Directory.CreateDirectory(System.IO.Path.Combine(root, "koala")).FullName;
        }
    }
}
