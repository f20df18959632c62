namespace Koala.Kernel.Tests.Cells;

/// <summary>Packages that tests have made, in NuGet's package cache.</summary>
internal static class TestPackages
{
    /// <summary>Removes a package, or one version of it.</summary>
    public static void Forget(string id, string version = "")
    {
        foreach (var cache in new[] { Environment.GetEnvironmentVariable("NUGET_PACKAGES"), Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages") }.OfType<string>())
            if (Path.Combine(cache, id.ToLowerInvariant(), version) is var path && Directory.Exists(path)) Directory.Delete(path, recursive: true);
    }
}
