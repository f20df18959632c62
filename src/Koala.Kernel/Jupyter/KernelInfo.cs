using System.Text.Json.Nodes;

namespace Koala.Kernel.Jupyter;

/// <summary>The description that the kernel gives of itself.</summary>
internal static class KernelInfo
{
    private static readonly string s_version = typeof(KernelInfo).Assembly.GetName().Version!.ToString(3);

    public static JsonObject Content => new()
    {
        ["protocol_version"] = Message.ProtocolVersion,
        ["implementation"] = "koala",
        ["implementation_version"] = s_version,
        ["language_info"] = new JsonObject
        {
            ["name"] = "C#",
            ["version"] = "14.0",
            ["mimetype"] = "text/x-csharp",
            ["file_extension"] = ".cs",
            ["pygments_lexer"] = "csharp",
            ["codemirror_mode"] = "text/x-csharp",
        },
        ["banner"] = $"Koala {s_version}: C# 14 on .NET {Environment.Version}",
        ["help_links"] = new JsonArray(),
        ["debugger"] = false,
    };
}
