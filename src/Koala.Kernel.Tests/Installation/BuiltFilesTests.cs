using System.Reflection.Metadata;
using System.Text;
using System.Text.RegularExpressions;

namespace Koala.Kernel.Tests.Installation;

/// <summary>What is built says nothing about the machine that built it.</summary>
public sealed partial class BuiltFilesTests
{
    [Theory]
    [InlineData("koala", ".dll", ".pdb", ".deps.json", ".runtimeconfig.json", ".xml")]
    [InlineData("Koala.Lab", ".dll", ".pdb", ".xml")]
    [InlineData("Koala.Kernel", ".dll", ".pdb", ".xml")]
    public void They_hold_no_path_of_the_builder(string name, params string[] extensions)
    {
        string[] paths = [TestFiles.Root + "/src/", Home + "/", ".nuget/packages/"];
        foreach (var extension in extensions)
        {
            var bytes = File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, name + extension));
            foreach (var path in paths.Where(path => path.Length > 1))
            {
                foreach (var encoding in (Encoding[])[Encoding.UTF8, Encoding.Unicode])
                    Assert.True(bytes.AsSpan().IndexOf(encoding.GetBytes(path)) < 0, $"{name}{extension} holds {path}");
            }
        }
    }

    // The symbols keep the folders of a path apart, so a search for the whole path finds nothing there.
    [Theory]
    [InlineData("koala", "Koala.Cli/Program.cs")]
    [InlineData("Koala.Lab", "Koala.Lab/KoalaException.cs")]
    [InlineData("Koala.Kernel", "Koala.Kernel/Engine.cs")]
    public void The_symbols_name_their_sources_below_the_root_of_the_sources(string name, string source)
    {
        using var file = File.OpenRead(Path.Combine(AppContext.BaseDirectory, name + ".pdb"));
        using var provider = MetadataReaderProvider.FromPortablePdbStream(file);
        var symbols = provider.GetMetadataReader();
        string[] documents = [.. symbols.Documents.Select(document => symbols.GetString(symbols.GetDocument(document).Name))];

        Assert.Contains("/_/src/" + source, documents);
        Assert.All(documents, document => Assert.StartsWith("/_/", document, StringComparison.Ordinal));
    }

    [Fact]
    public void A_stack_trace_names_files_below_the_root_of_the_sources()
    {
        var exception = Assert.ThrowsAny<Exception>(() => StrictJson.Parse("{"u8));

        Assert.Matches(SourceLine(), exception.StackTrace);
    }

    private static string Home => Environment.GetFolderPath(Environment.SpecialFolder.UserProfile).TrimEnd('/');

    [GeneratedRegex(@" in /_/src/Koala\.Kernel/StrictJson\.cs:line \d+")]
    private static partial Regex SourceLine();
}
