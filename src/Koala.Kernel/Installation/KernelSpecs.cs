using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;
using Koala.Kernel.Display;
using Koala.Kernel.Jupyter;
using Koala.Lab;
using Koala.Lab.Charts;
using Koala.Lab.Runtime.Files;

namespace Koala.Kernel.Installation;

/// <summary>Makes this kernel known to Jupyter, by a <c>kernel.json</c> in a folder that Jupyter searches.</summary>
public static class KernelSpecs
{
    /// <summary>The name under which this kernel is always installed.</summary>
    public const string Name = "koala-csharp";

    /// <summary>The name that notebooks of .NET Interactive ask for.</summary>
    public const string InteractiveName = ".net-csharp";

    private const string FileName = "kernel.json";

    // The names that front ends look for beside it.
    private static readonly string[] s_logos = ["logo-svg.svg", "logo-64x64.png", "logo-32x32.png"];

    /// <summary>Installs the kernel for this user.</summary>
    /// <returns>
    /// The folders that were written, and the folder of another kernel that has <see cref="InteractiveName"/>; null if
    /// there is none.
    /// </returns>
    /// <exception cref="KoalaException">A folder cannot be written.</exception>
    public static (IReadOnlyList<string> Written, string? Other) Install()
    {
        var kernels = Path.Combine(UserFolder(), "kernels");
        List<string> written = [Write(kernels, Name, "C# (Koala)")];
        var candidates = Folders().Select(folder => Path.Combine(folder, "kernels", InteractiveName));
        var other = candidates.FirstOrDefault(folder => File.Exists(Path.Combine(folder, FileName)) && !IsThisKernel(folder));
        if (other is null) written.Add(Write(kernels, InteractiveName, ".NET (C#)"));
        return (written, other);
    }

    /// <summary>The folder in which Jupyter keeps the data of this user.</summary>
    private static string UserFolder()
    {
        if (Environment.GetEnvironmentVariable("JUPYTER_DATA_DIR") is { Length: > 0 } folder) return folder;
        if (OperatingSystem.IsWindows())
            return Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.ApplicationData), "jupyter");
        var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        if (OperatingSystem.IsMacOS()) return Path.Combine(home, "Library", "Jupyter");
        var data = Environment.GetEnvironmentVariable("XDG_DATA_HOME");
        return Path.Combine(string.IsNullOrEmpty(data) ? Path.Combine(home, ".local", "share") : data, "jupyter");
    }

    private static IEnumerable<string> Folders() =>
    [
        .. (Environment.GetEnvironmentVariable("JUPYTER_PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries),
        UserFolder(),
        "/usr/local/share/jupyter",
        "/usr/share/jupyter",
    ];

    private static bool IsThisKernel(string folder)
    {
        try
        {
            var spec = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, FileName)));
            return spec?["argv"] is JsonArray argv && argv.Any(argument => Path.GetFileName(argument?.ToString()) == "koala.dll");
        }
        catch (Exception e) when (e is System.Text.Json.JsonException or IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static string Write(string folder, string name, string displayName)
    {
        string[] start = ["kernel", "start", "--report-crashes", "--connection-file", "{connection_file}"];
        string[] command = [.. KernelProcess.CommandLine(), .. start];
        var spec = new JsonObject
        {
            ["argv"] = new JsonArray([.. command.Select(argument => JsonValue.Create(argument))]),
            ["display_name"] = displayName,
            ["language"] = "C#",
            // An interrupt is a message, because a signal must be handled in time and does not reach another machine.
            ["interrupt_mode"] = "message",
        };
        var path = Path.Combine(folder, name);
        AtomicFile.WriteText(Path.Combine(path, FileName), spec.ToJsonString(JsonFormat.Document) + "\n");
        foreach (var logo in s_logos)
        {
            using var image = typeof(KernelSpecs).Assembly.GetManifestResourceStream(logo)!;
            AtomicFile.Write(Path.Combine(path, logo), image.CopyTo);
        }
        AtomicFile.Write(Path.Combine(path, FigureLoader.FileName), WriteFigureScript);
        return path;
    }

    /// <summary>Writes plotly.js with what draws figures, compressed, as <see cref="FigureLoader"/> fetches it.</summary>
    internal static void WriteFigureScript(Stream stream)
    {
        using var compressed = new GZipStream(stream, CompressionLevel.Optimal, leaveOpen: true);
        compressed.Write(Encoding.UTF8.GetBytes(PlotlyScript.Text));
    }
}
