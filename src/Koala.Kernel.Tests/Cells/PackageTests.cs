using System.IO.Compression;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Koala.Kernel.Tests.Cells;

/// <summary>Packages from a folder, which need no network.</summary>
public sealed class PackageTests : IAsyncLifetime
{
    // All processes of a user share NuGet's package cache. The id is unique, so that another run of these tests does
    // not delete this package.
    private static readonly string s_id = $"Koala.Test.Greeting.P{Environment.ProcessId}";

    private readonly TemporaryFolder _folder = new();
    private readonly TestKernel _kernel = new();

    public async ValueTask InitializeAsync() => await _kernel.InitializeAsync();

    [Fact]
    public async Task A_package_is_restored_and_registers_itself()
    {
        Pack(s_id, "1.0.0", "public static class Greeting { public static string Say() => \"hello 1\"; }",
            "#!csharp\n\nvar registered = 1;\n");
        var run = await _kernel.RunAsync($"#i \"nuget: {_folder.Path}\"\n#r \"nuget: {s_id}, 1.0.0\"\nGreeting.Say() + registered");

        AssertValue("hello 11", run);
        Assert.Contains($"Installed {s_id} 1.0.0", run.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_package_is_not_added_to_the_session()
    {
        Pack(s_id, "1.0.0", "public static class Greeting { public static string Say() => \"hello 1\"; }");
        var missing = await _kernel.RunAsync($"#i \"nuget: {_folder.Path}\"\n#r \"nuget: {s_id}.Missing, 1.0.0\"");
        Assert.Equal("error", missing.Status);
        Assert.Contains($"{s_id}.Missing", missing.Traceback, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', missing.Traceback);

        AssertValue("hello 1", await _kernel.RunAsync($"#r \"nuget: {s_id}, 1.0.0\"\nGreeting.Say()"));
    }

    [Fact]
    public async Task A_second_version_asks_for_a_restart()
    {
        Pack(s_id, "1.0.0", "public static class Greeting { public static string Say() => \"hello 1\"; }");
        Pack(s_id, "2.0.0", "public static class Greeting { public static string Say() => \"hello 2\"; }");
        var first = await _kernel.RunAsync($"#i \"nuget: {_folder.Path}\"\n#r \"nuget: {s_id}, [1.0.0]\"\nGreeting.Say()");
        AssertValue("hello 1", first);
        Assert.Contains($"Installed {s_id} 1.0.0", first.Text, StringComparison.Ordinal);
        var second = await _kernel.RunAsync($"#r \"nuget: {s_id}, [2.0.0]\"\nGreeting.Say()");

        Assert.Equal("error", second.Status);
        var expected = $"{s_id} 1.0.0 is loaded already. Fix: restart the kernel to use [2.0.0].";
        Assert.Contains(expected, second.Traceback, StringComparison.Ordinal);
        AssertValue("hello 1", await _kernel.RunAsync("Greeting.Say()"));
    }

    public async ValueTask DisposeAsync()
    {
        await _kernel.DisposeAsync();
        _folder.Dispose();
        TestPackages.Remove(s_id);
    }

    // If the cell failed, the message of the assertion has its output.
    private static void AssertValue(string value, CellRun run)
    {
        Assert.True(run.Status == "ok", $"{run.Status}\n{run.Traceback}\n{run.Text}\n{run.ErrorText}");
        Assert.Equal(value, run.Value);
    }

    private void Pack(string id, string version, string code, string? extension = null)
    {
        var source = CSharpSyntaxTree.ParseText($"[assembly: System.Reflection.AssemblyVersion(\"{version}.0\")]\n{code}");
        var reference = MetadataReference.CreateFromFile(typeof(object).Assembly.Location);
        var options = new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary);
        var compilation = CSharpCompilation.Create(id, [source], [reference], options);
        using var file = File.Create(_folder.At($"{id}.{version}.nupkg"));
        using var zip = new ZipArchive(file, ZipArchiveMode.Create);
        using (var spec = new StreamWriter(zip.CreateEntry($"{id}.nuspec").Open()))
        {
            spec.Write("<?xml version=\"1.0\"?><package xmlns=\"http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd\"><metadata>");
            spec.Write($"<id>{id}</id><version>{version}</version><authors>t</authors><description>t</description>");
            spec.Write("</metadata></package>");
        }
        using (var library = zip.CreateEntry($"lib/net10.0/{id}.dll").Open()) Assert.True(compilation.Emit(library).Success);
        if (extension is null) return;
        using var script = new StreamWriter(zip.CreateEntry("interactive-extensions/dotnet/extension.dib").Open());
        script.Write(extension);
    }
}
