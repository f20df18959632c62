using System.Text;
using System.Text.Json.Nodes;
using Koala.Kernel.Jupyter;

namespace Koala.Kernel.Tests;

/// <summary>A kernel in a separate process, and a client of it.</summary>
public sealed class TestKernel : IAsyncLifetime
{
    // This only ends a test that hangs, so it is long enough for a slow machine under load.
    internal static readonly TimeSpan Timeout = TimeSpan.FromMinutes(3);

    private KernelProcess? _process;

    internal KernelProcess Process => _process!;

    public async ValueTask InitializeAsync() =>
        _process = await KernelProcess.StartAsync(Directory.GetCurrentDirectory(), CancellationToken.None);

    /// <summary>Runs a cell.</summary>
    /// <param name="code">The text of the cell.</param>
    /// <param name="onText">A function that gets all text printed so far, each time the cell prints something.</param>
    /// <param name="metadata">The metadata of the cell; null for none.</param>
    internal async Task<CellRun> RunAsync(string code, Action<string>? onText = null, JsonObject? metadata = null)
    {
        var run = new CellRun();
        var id = Process.Client.Send("execute_request", new JsonObject
        {
            ["code"] = code,
            ["silent"] = false,
            ["store_history"] = true,
            ["allow_stdin"] = false,
            ["stop_on_error"] = true,
        }, metadata);
        using var timeout = new CancellationTokenSource(Timeout);
        for (var idle = false; run.Reply is null || !idle;)
        {
            var message = await Process.Client.Incoming.ReadAsync(timeout.Token);
            if (message.Parent["msg_id"]?.ToString() != id) continue;
            if (message.Type == "execute_reply") run.Reply = message.Content;
            else if (message.Type == "status") idle = message.Content["execution_state"]!.ToString() == "idle";
            else run.Outputs.Add((message.Type, message.Content));
            if (message.Type == "stream") onText?.Invoke(run.Text);
        }
        return run;
    }

    /// <summary>Sends a request other than a cell.</summary>
    /// <param name="type">The type of the request.</param>
    /// <param name="content">The content of the request.</param>
    /// <param name="control">Whether the kernel serves the request before the cells that wait.</param>
    /// <returns>The content of the reply.</returns>
    internal async Task<JsonObject> AskAsync(string type, JsonObject content, bool control = false)
    {
        var id = control ? Process.Client.SendControl(type, content) : Process.Client.Send(type, content);
        using var timeout = new CancellationTokenSource(Timeout);
        while (true)
        {
            var message = await Process.Client.Incoming.ReadAsync(timeout.Token);
            var isReply = message.Type.EndsWith("_reply", StringComparison.Ordinal);
            if (isReply && message.Parent["msg_id"]?.ToString() == id) return message.Content;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Process.ShutdownAsync();
        Process.Dispose();
    }
}

/// <summary>The reply and the outputs of a cell.</summary>
internal sealed class CellRun
{
    public JsonObject? Reply { get; set; }

    public List<(string Type, JsonObject Content)> Outputs { get; } = [];

    public string Status => Reply!["status"]!.ToString();

    public string Text => Printed("stdout");

    public string ErrorText => Printed("stderr");

    /// <summary>The plain text of the value; null if the cell has no value.</summary>
    public string? Value => Outputs.FirstOrDefault(o => o.Type == "execute_result").Content?["data"]?["text/plain"]?.ToString();

    public string Traceback => string.Join('\n', Reply!["traceback"]?.AsArray().Select(line => line!.ToString()) ?? []);

    /// <summary>The content of a MIME type in the first output that has it; null if there is none.</summary>
    public string? Shown(string mime) =>
        Outputs.Select(o => o.Content["data"]?[mime]?.ToString()).FirstOrDefault(text => text is not null);

    private string Printed(string name)
    {
        var text = new StringBuilder();
        foreach (var (type, content) in Outputs)
            if (type == "stream" && content["name"]!.ToString() == name) text.Append(content["text"]);
        return text.ToString();
    }
}
