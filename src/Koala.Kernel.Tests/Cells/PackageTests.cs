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

    private const string Versioned = "public class Greeting { "
        + "public string Text = \"hello \" + typeof(Greeting).Assembly.GetName().Version.Major; "
        + "public static string Say(Greeting greeting) => greeting.Text; }";

    [Theory]
    [InlineData("1.0.0", "1.0.0")]
    [InlineData("2.0.0", "1.0.0")]
    public async Task A_package_in_a_later_cell_does_not_bring_a_second_copy_of_an_assembly(string file, string package)
    {
        Pack(s_id, package, Versioned);
        AssertValue("1", await _kernel.RunAsync($"#r \"{Library(file)}\"\nvar greeting = new Greeting();\n1"));
        await _kernel.RunAsync($"#i \"nuget: {_folder.Path}\"\n#r \"nuget: {s_id}, [{package}]\"");
        AssertValue($"hello {file[0]}", await _kernel.RunAsync("Greeting.Say(greeting)"));
        // Nor does a file.
        AssertValue($"hello {file[0]}", await _kernel.RunAsync($"#r \"{Library(package, "elsewhere")}\"\nGreeting.Say(greeting)"));
    }

    [Fact]
    public async Task A_newer_copy_of_an_assembly_is_one_clear_line()
    {
        Pack(s_id, "2.0.0", Versioned);
        AssertValue("1", await _kernel.RunAsync($"#r \"{Library("1.0.0")}\"\nvar greeting = new Greeting();\n1"));
        var package = await _kernel.RunAsync($"#i \"nuget: {_folder.Path}\"\n#r \"nuget: {s_id}, [2.0.0]\"\nGreeting.Say(greeting)");
        var newer = Library("2.0.0", "newer");
        var file = await _kernel.RunAsync($"#r \"{newer}\"\nGreeting.Say(greeting)");

        var fault = $": is version 2.0.0.0 of {s_id}, but version 1.0.0.0 is loaded already. "
            + "Fix: restart the kernel and refer to the newer one first.";
        Assert.Equal($"{newer}{fault}", file.Traceback);
        Assert.EndsWith(fault, package.Traceback, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', package.Traceback);
        AssertValue("hello 1", await _kernel.RunAsync("Greeting.Say(greeting)"));
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

    private static CSharpCompilation Compile(string id, string version, string code)
    {
        var source = CSharpSyntaxTree.ParseText($"[assembly: System.Reflection.AssemblyVersion(\"{version}.0\")]\n{code}");
        var reference = MetadataReference.CreateFromFile(typeof(object).Assembly.Location);
        return CSharpCompilation.Create(id, [source], [reference], new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary));
    }

    // The assembly of the package as a file.
    private string Library(string version, string folder = "bin")
    {
        Directory.CreateDirectory(_folder.At(folder));
        var path = _folder.At(folder, $"{s_id}.dll");
        Assert.True(Compile(s_id, version, Versioned).Emit(path).Success);
        return path;
    }

    private void Pack(string id, string version, string code, string? extension = null)
    {
        var compilation = Compile(id, version, code);
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
