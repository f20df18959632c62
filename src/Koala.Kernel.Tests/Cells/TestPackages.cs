namespace Koala.Kernel.Tests.Cells;

/// <summary>The packages that tests have created, in NuGet's package cache.</summary>
internal static class TestPackages
{
    /// <summary>Removes a package, or one version of it.</summary>
    public static void Remove(string id, string version = "")
    {
        var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        string?[] caches = [Environment.GetEnvironmentVariable("NUGET_PACKAGES"), Path.Combine(home, ".nuget", "packages")];
        foreach (var cache in caches.OfType<string>())
        {
            var path = Path.Combine(cache, id.ToLowerInvariant(), version);
            if (Directory.Exists(path)) Directory.Delete(path, recursive: true);
        }
    }
}
