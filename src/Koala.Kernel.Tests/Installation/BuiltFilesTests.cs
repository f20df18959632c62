using System.Text;
using System.Text.RegularExpressions;

namespace Koala.Kernel.Tests.Installation;

/// <summary>What is built says nothing about the machine that built it.</summary>
public sealed partial class BuiltFilesTests
{
    [Theory]
    [InlineData("koala")]
    [InlineData("Koala.Lab")]
    [InlineData("Koala.Kernel")]
    public void They_hold_no_path_of_the_builder(string name)
    {
        string[] paths = [TestFiles.Root, Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget/packages"];
        string[] extensions = [".dll", ".pdb", ".deps.json", ".runtimeconfig.json", ".xml"];
        foreach (var file in extensions.Select(extension => Path.Combine(AppContext.BaseDirectory, name + extension)).Where(File.Exists))
        {
            var bytes = File.ReadAllBytes(file);
            foreach (var path in paths.Where(path => path.Length > 1))
            {
                foreach (var encoding in (Encoding[])[Encoding.UTF8, Encoding.Unicode])
                    Assert.True(bytes.AsSpan().IndexOf(encoding.GetBytes(path + "/")) < 0, $"{file} holds {path}");
            }
        }
    }

    [Fact]
    public void A_stack_trace_names_files_below_the_root_of_the_sources()
    {
        var exception = Assert.ThrowsAny<Exception>(() => StrictJson.Parse("{"u8));

        Assert.Matches(SourceLine(), exception.StackTrace);
    }

    [GeneratedRegex(@" in /_/src/Koala\.Kernel/StrictJson\.cs:line \d+")]
    private static partial Regex SourceLine();
}
