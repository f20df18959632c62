using System.Text.Json.Nodes;

namespace Koala.Kernel.Tests;

/// <summary>The paths of the repository's files.</summary>
internal static class TestFiles
{
    /// <summary>The repository's root: the folder above the test assembly that holds Koala.slnx.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>The library with which the tests were built.</summary>
    public static string Library => Path.Combine(AppContext.BaseDirectory, "Koala.Lab.dll");

    /// <summary>A path below the root.</summary>
    public static string At(params string[] parts) => Path.Combine([Root, .. parts]);

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "Koala.slnx"))) return folder.FullName;
        throw new InvalidOperationException($"no Koala.slnx above {AppContext.BaseDirectory}");
    }
}

/// <summary>A folder that is deleted after the test.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("koala-test-").FullName;

    public string At(params string[] parts) => System.IO.Path.Combine([Path, .. parts]);

    /// <summary>Writes a text file and returns its path.</summary>
    public string Write(string name, string text)
    {
        File.WriteAllText(At(name), text);
        return At(name);
    }

    /// <summary>Writes a notebook of code cells; a cell that begins with <c>[tag]</c> has that tag.</summary>
    public string WriteNotebook(string name, params string[] cells) => Write(name, new JsonObject
    {
        ["cells"] = new JsonArray([.. cells.Select((code, i) => Cell($"c{i}", code))]),
        ["metadata"] = new JsonObject
        {
            ["kernelspec"] = new JsonObject { ["name"] = ".net-csharp", ["display_name"] = ".NET (C#)", ["language"] = "C#" },
        },
        ["nbformat"] = 4,
        ["nbformat_minor"] = 5,
    }.ToJsonString());

    public void Dispose() => Directory.Delete(Path, recursive: true);

    private static JsonObject Cell(string id, string code)
    {
        var end = code.StartsWith('[') ? code.IndexOf(']', StringComparison.Ordinal) : -1;
        return new JsonObject
        {
            ["cell_type"] = "code",
            ["id"] = id,
            ["metadata"] = end < 0 ? new JsonObject() : new JsonObject { ["tags"] = new JsonArray(code[1..end]) },
            ["source"] = code[(end + 1)..],
            ["outputs"] = new JsonArray(),
            ["execution_count"] = null,
        };
    }
}
