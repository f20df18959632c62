using System.Text.Json.Nodes;
using Koala.Lab.Runtime.Files;

namespace Koala.Kernel.Jupyter;

/// <summary>
/// Tells the process that watches over the kernel which cell runs, so that a crash can be reported as an output of this cell.
/// </summary>
internal static class RunningRequest
{
    /// <summary>The environment variable with the file; without it nobody watches.</summary>
    public const string Variable = "KOALA_RUNNING_REQUEST";

    private static readonly string? s_file = Environment.GetEnvironmentVariable(Variable);

    public static void Begin(Message request) => Write(request.Header.ToJsonString(JsonFormat.Line));

    public static void End() => Write("");

    /// <summary>Reads the header of the request that ran; null if none did.</summary>
    public static JsonObject? Read(string file) =>
        File.ReadAllText(file) is { Length: > 0 } text ? JsonNode.Parse(text) as JsonObject : null;

    private static void Write(string text)
    {
        if (s_file is not null) File.WriteAllText(s_file, text);
    }
}
