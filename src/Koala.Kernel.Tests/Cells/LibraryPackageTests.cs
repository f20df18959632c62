using System.Diagnostics;
using System.IO.Compression;
using System.Xml.Linq;
using Koala.Kernel.Jupyter;
using Koala.Lab.Runtime.Native;

namespace Koala.Kernel.Tests.Cells;

/// <summary>The package that <c>dotnet pack src/Koala.Lab</c> creates, and a notebook that requests it.</summary>
public sealed class LibraryPackageTests : IDisposable
{
    private static readonly string s_version = TestPackages.NewVersion("library");

    private readonly TemporaryFolder _folder = new();

    [Fact]
    public async Task The_package_brings_the_library_and_registers_its_formatters()
    {
        TestPackages.Pack("Koala.Lab", s_version, _folder.Path);
        using (var package = ZipFile.OpenRead(_folder.At($"Koala.Lab.{s_version}.nupkg")))
        {
            var expected = new HashSet<string>
            {
                "lib/net10.0/Koala.Lab.dll",
                "lib/net10.0/Koala.Lab.xml",
                "interactive-extensions/dotnet/extension.dib",
                "README.md",
                "third_party/plotly.js/LICENSE",
                "third_party/huggingface-jinja/LICENSE",
            };
            Assert.Superset(expected, package.Entries.Select(entry => entry.FullName).ToHashSet());
            using var spec = package.GetEntry("Koala.Lab.nuspec")!.Open();
            var metadata = XDocument.Load(spec).Root!.Elements().Single();
            Assert.Equal("Apache-2.0", Element("license"));
            Assert.Equal("README.md", Element("readme"));
            Assert.NotEmpty(Element("description"));
            var elements = metadata.Descendants().Where(e => e.Name.LocalName == "dependency");
            var dependencies = elements.Select(e => e.Attribute("id")!.Value).ToArray();
            Assert.Contains("TorchSharp", dependencies);
            Assert.DoesNotContain(dependencies, id => id.StartsWith("libtorch", StringComparison.OrdinalIgnoreCase));

            string Element(string name) => metadata.Elements().Single(e => e.Name.LocalName == name).Value;
        }

        await using var kernel = new TestKernel();
        await kernel.InitializeAsync();
        // The notebook uses the libtorch that is in the package cache for the tests.
        var restored = await Ok(kernel, $"""
            #i "nuget: {_folder.Path}"
            #r "nuget: libtorch-cpu-linux-x64, {LibTorch.Version}"
            #r "nuget: Koala.Lab, {s_version}"
            """);
        Assert.Contains($"Koala.Lab {s_version}", restored.Text, StringComparison.Ordinal);
        Assert.Equal("", restored.ErrorText);

        var frame = await Ok(kernel, "using Microsoft.Data.Analysis;\nnew DataFrame(new Int32DataFrameColumn(\"rounds\", [1, 2]))");
        Assert.Contains("rounds", frame.Shown("text/html"), StringComparison.Ordinal);
        Assert.StartsWith("rounds", frame.Shown("text/plain")!.TrimStart(), StringComparison.Ordinal);

        var figure = await Ok(kernel, $"""
            using Koala.Lab.Charts;
            using Koala.Lab.Decoding;
            using Koala.Lab.Targets;
            var target = Target.Load("{TestFiles.At("checkpoints", "koala-nano")}");
            var decoder = new SpeculativeDecoder(target);
            var options = new GenerationOptions {"{"} MaxTokens = 8 {"}"};
            await foreach (var chunk in decoder.GenerateAsync("Why is the sky blue?", options)) Console.Write(chunk.Text);
            Chart.RoundTimes(decoder.Trace)
            """);
        Assert.NotEmpty(figure.Text);
        Assert.NotNull(figure.Shown("application/vnd.plotly.v1+json"));
        Assert.Contains("<img ", figure.Shown("text/html"), StringComparison.Ordinal);
    }

    /// <summary>TorchSharp depends on SkiaSharp, but only for pictures. The line is that of the package's page.</summary>
    [Fact]
    public void A_program_that_decodes_leaves_SkiaSharp_out_as_the_packages_page_says()
    {
        TestPackages.Pack("Koala.Lab", s_version, _folder.Path);
        var prune = File.ReadLines(TestFiles.At("src", "Koala.Lab", "Package", "README.md")).Single(line => line.Contains("PrunePackage"));
        Directory.CreateDirectory(_folder.At("program"));
        var project = _folder.Write("program/program.csproj", $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <RestoreAdditionalProjectSources>{_folder.Path}</RestoreAdditionalProjectSources>
              </PropertyGroup>
              <ItemGroup><PackageReference Include="Koala.Lab" Version="{s_version}" /></ItemGroup>
              {prune}
            </Project>
            """);
        _folder.Write("program/Program.cs", $$"""
            using Koala.Lab.Decoding;
            using Koala.Lab.Heads;
            using Koala.Lab.Targets;

            using var target = Target.Load("{{TestFiles.At("checkpoints", "koala-nano")}}");
            using var head = DraftHead.Load("{{TestFiles.At("checkpoints", "koala-nano-eagle-k2")}}", target);
            var answer = new SpeculativeDecoder(target, head).Generate([1, 2, 3], new GenerationOptions { MaxTokens = 8 });
            System.Console.WriteLine($"{answer.Tokens.Count} tokens");
            """);
        LibTorch.EnsureLoaded();
        var start = new ProcessStartInfo(KernelProcess.CommandLine()[0], ["run", "--project", project, "-v", "q"])
        {
            RedirectStandardOutput = true,
            Environment =
            {
                ["DOTNET_CLI_USE_MSBUILD_SERVER"] = "0",
                ["MSBUILDDISABLENODEREUSE"] = "1",
                ["KOALA_LIBTORCH"] = LibTorch.Folder,
            },
        };
        using var process = Process.Start(start)!;
        var text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Equal("8 tokens", text.Trim());
        var restored = File.ReadAllText(_folder.At("program", "obj", "project.assets.json"));
        Assert.Contains("TorchSharp/", restored, StringComparison.Ordinal);
        Assert.DoesNotContain("SkiaSharp/", restored, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        _folder.Dispose();
        TestPackages.Remove("Koala.Lab", s_version);
    }

    private static async Task<CellRun> Ok(TestKernel kernel, string code)
    {
        var run = await kernel.RunAsync(code);
        Assert.True(run.Status == "ok", run.Traceback);
        return run;
    }
}
