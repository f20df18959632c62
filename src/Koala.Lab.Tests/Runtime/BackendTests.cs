using System.Diagnostics;

namespace Koala.Lab.Tests.Runtime;

/// <summary>
/// The build property Backend chooses which libtorch a build restores. The tests evaluate the project and restore
/// nothing.
/// </summary>
public sealed class BackendTests
{
    [Theory]
    [InlineData("cpu", "libtorch-cpu-linux-x64", "TorchSharp-cuda-linux")]
    [InlineData("cuda", "TorchSharp-cuda-linux", "libtorch-cpu-linux-x64")]
    public void A_backend_brings_its_own_libtorch_only(string backend, string wanted, string other)
    {
        var packages = Packages(backend);
        Assert.Contains($"\"{wanted}\"", packages);
        Assert.DoesNotContain($"\"{other}\"", packages);
    }

    [Fact]
    public void An_external_backend_brings_none()
    {
        var packages = Packages("external");
        Assert.Contains("\"TorchSharp\"", packages);
        Assert.DoesNotContain("libtorch", packages, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("TorchSharp-cuda-linux", packages);
    }

    private static string Packages(string backend)
    {
        var start = new ProcessStartInfo("dotnet",
            ["msbuild", TestFiles.At("src", "Koala.Lab", "Koala.Lab.csproj"), "-getItem:PackageReference",
                $"-p:Backend={backend}", "-nodeReuse:false"])
        {
            RedirectStandardOutput = true,
        };
        using var build = Process.Start(start)!;
        var output = build.StandardOutput.ReadToEnd();
        build.WaitForExit();
        Assert.Equal(0, build.ExitCode);
        return string.Join('\n', output.Split('\n').Where(line => line.Contains("\"Identity\"", StringComparison.Ordinal)));
    }
}
