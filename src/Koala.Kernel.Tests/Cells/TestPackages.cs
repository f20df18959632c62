using System.Diagnostics;
using Koala.Kernel.Jupyter;

namespace Koala.Kernel.Tests.Cells;

/// <summary>The packages that tests have created, in NuGet's package cache.</summary>
internal static class TestPackages
{
    /// <summary>
    /// A version that no earlier package had, because NuGet's package cache keeps the first package that it has seen of a version.
    /// </summary>
    /// <param name="test">The test that packs.</param>
    public static string NewVersion(string test) => $"0.0.1-{test}.{Environment.ProcessId}";

    /// <summary>Packs a project as it was built with these tests.</summary>
    /// <param name="project">The name of the project, which is that of the package.</param>
    /// <param name="version">The version of the package, and of the packages of other projects that it depends on.</param>
    /// <param name="folder">The folder that gets the package.</param>
    public static void Pack(string project, string version, string folder)
    {
        var configuration = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;
        string[] arguments =
        [
            "pack", TestFiles.At("src", project), "--no-build", "-c", configuration, "-o", folder,
            $"-p:PackageVersion={version}", "-nologo", "-nodeReuse:false",
        ];
        var start = new ProcessStartInfo(KernelProcess.CommandLine()[0], arguments)
        {
            RedirectStandardOutput = true,
            Environment = { ["DOTNET_CLI_USE_MSBUILD_SERVER"] = "0" },
        };
        using var process = Process.Start(start)!;
        var text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, text);
    }

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
