using System.Text.Json.Nodes;
using Koala.Kernel.Jupyter;
using Koala.Lab;
using Koala.Lab.Runtime.Files;

namespace Koala.Kernel.Installation;

/// <summary>Tells Jupyter of this kernel: a folder with a <c>kernel.json</c> where Jupyter looks.</summary>
public static class KernelSpecs
{
    /// <summary>The name it always has.</summary>
    public const string Name = "koala-csharp";

    /// <summary>The name that notebooks of .NET Interactive ask for.</summary>
    public const string InteractiveName = ".net-csharp";

    private const string FileName = "kernel.json";

    /// <summary>Installs it for this user.</summary>
    /// <returns>The folders written, and the folder of another kernel that has <see cref="InteractiveName"/>; null: none has.</returns>
    /// <exception cref="KoalaException">A folder cannot be written.</exception>
    public static (IReadOnlyList<string> Written, string? Other) Install()
    {
        var own = Path.Combine(UserFolder(), "kernels");
        List<string> written = [Write(own, Name, "C# (Koala)")];
        var other = Folders().Select(folder => Path.Combine(folder, "kernels", InteractiveName)).FirstOrDefault(folder => File.Exists(Path.Combine(folder, FileName)) && !IsOurs(folder));
        if (other is null) written.Add(Write(own, InteractiveName, ".NET (C#)"));
        return (written, other);
    }

    /// <summary>Where Jupyter keeps what belongs to this user.</summary>
    private static string UserFolder()
    {
        if (Environment.GetEnvironmentVariable("JUPYTER_DATA_DIR") is { Length: > 0 } named) return named;
        var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        if (OperatingSystem.IsWindows()) return Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.ApplicationData), "jupyter");
        if (OperatingSystem.IsMacOS()) return Path.Combine(home, "Library", "Jupyter");
        return Path.Combine(Environment.GetEnvironmentVariable("XDG_DATA_HOME") is { Length: > 0 } data ? data : Path.Combine(home, ".local", "share"), "jupyter");
    }

    private static IEnumerable<string> Folders() =>
    [
        .. (Environment.GetEnvironmentVariable("JUPYTER_PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries),
        UserFolder(),
        "/usr/local/share/jupyter",
        "/usr/share/jupyter",
    ];

    private static bool IsOurs(string folder)
    {
        try
        {
            return JsonNode.Parse(File.ReadAllText(Path.Combine(folder, FileName)))?["argv"] is JsonArray argv && argv.Any(word => Path.GetFileName(word?.ToString()) == "koala.dll");
        }
        catch (Exception e) when (e is System.Text.Json.JsonException or IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static string Write(string folder, string name, string displayName)
    {
        var spec = new JsonObject
        {
            ["argv"] = new JsonArray([.. KernelProcess.CommandLine().Concat(["kernel", "start", "--connection-file", "{connection_file}"]).Select(word => JsonValue.Create(word))]),
            ["display_name"] = displayName,
            ["language"] = "C#",
            // By a message: a signal would have to be caught in time, and reaches no other machine.
            ["interrupt_mode"] = "message",
        };
        var path = Path.Combine(folder, name);
        AtomicFile.WriteText(Path.Combine(path, FileName), spec.ToJsonString(JsonFormat.Document) + "\n");
        return path;
    }
}
