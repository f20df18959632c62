using System.IO.Compression;

namespace Koala.Kernel.Tests.Cells;

/// <summary>Packages from a folder: no network is needed.</summary>
public sealed class PackageTests : IAsyncLifetime
{
    // NuGet's package cache is one for all processes of a user: another run of these tests must not delete this one's
    // package.
    private static readonly string Id = $"Koala.Test.Greeting.P{Environment.ProcessId}";

    private readonly TemporaryFolder _folder = new();
    private readonly TestKernel _kernel = new();

    public async ValueTask InitializeAsync() => await _kernel.InitializeAsync();

    [Fact]
    public async Task A_package_is_restored_and_registers_itself()
    {
        Pack(Id, "1.0.0", "public static class Greeting { public static string Say() => \"hello 1\"; }", "#!csharp\n\nvar registered = 1;\n");
        var run = await _kernel.RunAsync($"#i \"nuget: {_folder.Path}\"\n#r \"nuget: {Id}, 1.0.0\"\nGreeting.Say() + registered");

        AssertValue("hello 11", run);
        Assert.Contains($"Installed {Id} 1.0.0", run.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_package_that_is_not_there_is_forgotten()
    {
        Pack(Id, "1.0.0", "public static class Greeting { public static string Say() => \"hello 1\"; }");
        var wrong = await _kernel.RunAsync($"#i \"nuget: {_folder.Path}\"\n#r \"nuget: {Id}.Missing, 1.0.0\"");
        Assert.Equal("error", wrong.Status);
        Assert.Contains($"{Id}.Missing", wrong.Traceback, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', wrong.Traceback);

        AssertValue("hello 1", await _kernel.RunAsync($"#r \"nuget: {Id}, 1.0.0\"\nGreeting.Say()"));
    }

    [Fact]
    public async Task A_second_version_asks_for_a_restart()
    {
        Pack(Id, "1.0.0", "public static class Greeting { public static string Say() => \"hello 1\"; }");
        Pack(Id, "2.0.0", "public static class Greeting { public static string Say() => \"hello 2\"; }");
        var first = await _kernel.RunAsync($"#i \"nuget: {_folder.Path}\"\n#r \"nuget: {Id}, [1.0.0]\"\nGreeting.Say()");
        AssertValue("hello 1", first);
        Assert.Contains($"Installed {Id} 1.0.0", first.Text, StringComparison.Ordinal);
        var second = await _kernel.RunAsync($"#r \"nuget: {Id}, [2.0.0]\"\nGreeting.Say()");

        Assert.Equal("error", second.Status);
        Assert.Contains($"{Id} 1.0.0 is loaded already. Fix: restart the kernel to use [2.0.0].", second.Traceback, StringComparison.Ordinal);
        AssertValue("hello 1", await _kernel.RunAsync("Greeting.Say()"));
    }

    public async ValueTask DisposeAsync()
    {
        await _kernel.DisposeAsync();
        _folder.Dispose();
        TestPackages.Forget(Id);
    }

    // With what the cell said where it did not get there.
    private static void AssertValue(string value, CellRun run)
    {
        Assert.True(run.Status == "ok", $"{run.Status}\n{run.Traceback}\n{run.Text}\n{run.ErrorText}");
        Assert.Equal(value, run.Value);
    }

    private void Pack(string id, string version, string code, string? extension = null)
    {
        var compilation = Microsoft.CodeAnalysis.CSharp.CSharpCompilation.Create(id, [Microsoft.CodeAnalysis.CSharp.CSharpSyntaxTree.ParseText($"[assembly: System.Reflection.AssemblyVersion(\"{version}.0\")]\n{code}")],
            [Microsoft.CodeAnalysis.MetadataReference.CreateFromFile(typeof(object).Assembly.Location)], new Microsoft.CodeAnalysis.CSharp.CSharpCompilationOptions(Microsoft.CodeAnalysis.OutputKind.DynamicallyLinkedLibrary));
        using var file = File.Create(_folder.At($"{id}.{version}.nupkg"));
        using var zip = new ZipArchive(file, ZipArchiveMode.Create);
        using (var spec = new StreamWriter(zip.CreateEntry($"{id}.nuspec").Open()))
            spec.Write($"<?xml version=\"1.0\"?><package xmlns=\"http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd\"><metadata><id>{id}</id><version>{version}</version><authors>t</authors><description>t</description></metadata></package>");
        using (var library = zip.CreateEntry($"lib/net10.0/{id}.dll").Open()) Assert.True(compilation.Emit(library).Success);
        if (extension is null) return;
        using var script = new StreamWriter(zip.CreateEntry("interactive-extensions/dotnet/extension.dib").Open());
        script.Write(extension);
    }
}
