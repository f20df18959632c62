using System.Text;
using System.Text.Json.Nodes;
using Koala.Kernel.Jupyter;

namespace Koala.Kernel.Tests;

/// <summary>A kernel in a process of its own, and a client of it.</summary>
public sealed class TestKernel : IAsyncLifetime
{
    // Ends a test that hangs; no measure of anything, so long enough for a slow machine that does other things too.
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(3);

    private KernelProcess? _process;

    internal KernelProcess Process => _process!;

    public async ValueTask InitializeAsync() => _process = await KernelProcess.StartAsync(Directory.GetCurrentDirectory(), CancellationToken.None);

    /// <summary>Runs a cell.</summary>
    /// <param name="code">Its text.</param>
    /// <param name="onText">Told of everything it has printed, as it comes.</param>
    internal async Task<CellRun> RunAsync(string code, Action<string>? onText = null)
    {
        var run = new CellRun();
        var id = Process.Client.Send("execute_request", new JsonObject { ["code"] = code, ["silent"] = false, ["store_history"] = true, ["allow_stdin"] = false, ["stop_on_error"] = true });
        using var patience = new CancellationTokenSource(s_patience);
        for (var idle = false; run.Reply is null || !idle;)
        {
            var message = await Process.Client.Incoming.ReadAsync(patience.Token);
            if (message.Parent["msg_id"]?.ToString() != id) continue;
            if (message.Type == "execute_reply") run.Reply = message.Content;
            else if (message.Type == "status") idle = message.Content["execution_state"]!.ToString() == "idle";
            else run.Outputs.Add((message.Type, message.Content));
            if (message.Type == "stream") onText?.Invoke(run.Text);
        }
        return run;
    }

    /// <summary>Sends a request that is no cell and returns the reply's content.</summary>
    /// <param name="type">What is asked.</param>
    /// <param name="content">Its content.</param>
    /// <param name="control">Whether it goes past the cells that wait.</param>
    internal async Task<JsonObject> AskAsync(string type, JsonObject content, bool control = false)
    {
        var id = control ? Process.Client.SendControl(type, content) : Process.Client.Send(type, content);
        using var patience = new CancellationTokenSource(s_patience);
        while (true)
        {
            var message = await Process.Client.Incoming.ReadAsync(patience.Token);
            if (message.Type.EndsWith("_reply", StringComparison.Ordinal) && message.Parent["msg_id"]?.ToString() == id) return message.Content;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Process.ShutdownAsync();
        Process.Dispose();
    }
}

/// <summary>What a cell said.</summary>
internal sealed class CellRun
{
    public JsonObject? Reply { get; set; }

    public List<(string Type, JsonObject Content)> Outputs { get; } = [];

    public string Status => Reply!["status"]!.ToString();

    public string Text => Printed("stdout");

    public string ErrorText => Printed("stderr");

    /// <summary>The value's plain text; null: it ended in none.</summary>
    public string? Value => Outputs.FirstOrDefault(o => o.Type == "execute_result").Content?["data"]?["text/plain"]?.ToString();

    public string Traceback => string.Join('\n', Reply!["traceback"]?.AsArray().Select(line => line!.ToString()) ?? []);

    /// <summary>The content of a MIME type, wherever it was shown first.</summary>
    public string? Shown(string mime) => Outputs.Select(o => o.Content["data"]?[mime]?.ToString()).FirstOrDefault(text => text is not null);

    private string Printed(string name)
    {
        var text = new StringBuilder();
        foreach (var (_, content) in Outputs.Where(o => o.Type == "stream" && o.Content["name"]!.ToString() == name)) text.Append(content["text"]);
        return text.ToString();
    }
}
