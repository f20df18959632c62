using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Koala.Kernel.Display;
using Koala.Kernel.Language;

namespace Koala.Kernel.Jupyter;

/// <summary>Answers the messages of Jupyter clients. Cells wait in a queue; control is served at once.</summary>
internal sealed class KernelServer : IDisposable
{
    private readonly Sockets _sockets;
    private readonly Engine _engine = new();
    private readonly Completion _assistance;
    private readonly History _history = new();
    private readonly string _session = Guid.NewGuid().ToString("N");
    private readonly BlockingCollection<Message> _requests = [];
    private readonly BlockingCollection<string> _answers = [];
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _executionCount;

    // Requests that came before the failure of the cell in front of them was told.
    private readonly List<Message> _behindFailed = [];

    public KernelServer(ConnectionFile file)
    {
        _sockets = new Sockets(file) { Shell = _requests.Add, Control = OnControl, Stdin = OnStdin };
        _assistance = new Completion(_engine.Session);
        File = _sockets.File;
    }

    /// <summary>The connection file with the ports in use.</summary>
    public ConnectionFile File { get; }

    /// <summary>Serves until a client asks for shutdown, or <paramref name="cancel"/>.</summary>
    public async Task RunAsync(CancellationToken cancel)
    {
        Engine.Install();
        _sockets.Start();
        await using var ending = cancel.Register(() => _ended.TrySetResult()).ConfigureAwait(false);
        new Thread(_engine.Warm) { IsBackground = true, Name = "warm-up" }.Start();
        var serving = new Thread(ServeShell) { IsBackground = true, Name = "shell" };
        _sockets.Publish(Message.New("status", new JsonObject { ["execution_state"] = "starting" }, _session, identities: [Topic("status")]));
        serving.Start();
        await _ended.Task.ConfigureAwait(false);
    }

    /// <summary>Interrupts the running cell.</summary>
    public void Interrupt() => _engine.Interrupt();

    public void Dispose()
    {
        _sockets.Dispose();
        _assistance.Dispose();
        _engine.Dispose();
    }

    private static byte[] Topic(string name) => System.Text.Encoding.UTF8.GetBytes($"kernel.koala.{name}");

    private void ServeShell()
    {
        foreach (var request in _requests.GetConsumingEnumerable())
        {
            Serve(request, onControl: false, () => Answer(request));
            AbortBehindFailed();
        }
    }

    // Control comes on the sockets' own thread and must not wait for a cell.
    private void OnControl(Message request) => Serve(request, onControl: true, () => request.Type switch
    {
        "interrupt_request" => Interrupted(),
        "shutdown_request" => Shutdown(request),
        "kernel_info_request" => KernelInfo.Content,
        _ => null,
    });

    private void Serve(Message request, bool onControl, Func<JsonObject?> answer)
    {
        Publish(request, "status", new JsonObject { ["execution_state"] = "busy" });
        JsonObject? content;
        try
        {
            content = answer();
        }
#pragma warning disable CA1031 // A fault in one answer must not end the kernel.
        catch (Exception e)
#pragma warning restore CA1031
        {
            content = new CellError(e.GetType().Name, e.Message, [e.ToString()]).ToJson();
            content["status"] = "error";
        }
        if (content is not null)
        {
            if (!content.ContainsKey("status")) content["status"] = "ok";
            _sockets.Reply(request, onControl, Message.New(request.Type.Replace("_request", "_reply", StringComparison.Ordinal), content, _session, request.Header));
        }
        Publish(request, "status", new JsonObject { ["execution_state"] = "idle" });
        if (request.Type == "shutdown_request") _ended.TrySetResult();
    }

    private JsonObject? Answer(Message request) => request.Type switch
    {
        "kernel_info_request" => KernelInfo.Content,
        "execute_request" => Execute(request),
        "complete_request" => _assistance.Complete(request.Content),
        "inspect_request" => _assistance.Inspect(request.Content),
        "is_complete_request" => Completion.IsComplete(request.Content),
        "history_request" => _history.Answer(request.Content),
        "comm_info_request" => new JsonObject { ["comms"] = new JsonObject() },
        "shutdown_request" => Shutdown(request),
        "interrupt_request" => Interrupted(),
        _ => null,
    };

    private JsonObject Interrupted()
    {
        Interrupt();
        return [];
    }

    private static JsonObject Shutdown(Message request) => new() { ["restart"] = request.Content["restart"]?.GetValue<bool>() ?? false };

    private JsonObject Execute(Message request)
    {
        var code = request.Content["code"]?.ToString() ?? "";
        var silent = Flag("silent", false);
        if (!silent) _executionCount++;
        var number = _executionCount;
        if (!silent) Publish(request, "execute_input", new JsonObject { ["code"] = code, ["execution_count"] = number });
        if (!silent && Flag("store_history", true)) _history.Add(number, code);
        using var output = new CellOutput((type, content) =>
        {
            if (!silent || type is not ("execute_result")) Publish(request, type, content);
        });
        var error = _engine.Run(code, number, output, Flag("allow_stdin", false) ? (prompt, hidden) => Ask(request, prompt, hidden) : null);
        if (error is null)
        {
            _assistance.Follow(code);
            return new JsonObject { ["execution_count"] = number, ["payload"] = new JsonArray(), ["user_expressions"] = new JsonObject() };
        }
        // Before the reply goes out: a cell that is sent in answer to it is not one of these.
        if (Flag("stop_on_error", true))
            while (_requests.TryTake(out var queued)) _behindFailed.Add(queued);
        var reply = error.ToJson();
        reply["status"] = "error";
        reply["execution_count"] = number;
        return reply;

        bool Flag(string name, bool standard) => request.Content[name] is JsonValue value && value.TryGetValue(out bool flag) ? flag : standard;
    }

    // Cells that were sent before the failure was known do not run after it; other requests are answered.
    private void AbortBehindFailed()
    {
        foreach (var request in _behindFailed)
            Serve(request, onControl: false, () => request.Type == "execute_request" ? new JsonObject { ["status"] = "aborted", ["execution_count"] = _executionCount } : Answer(request));
        _behindFailed.Clear();
    }

    private string? Ask(Message request, string prompt, bool hidden)
    {
        while (_answers.TryTake(out _)) { }
        _sockets.Ask(request, Message.New("input_request", new JsonObject { ["prompt"] = prompt, ["password"] = hidden }, _session, request.Header));
        return _answers.Take();
    }

    private void OnStdin(Message message)
    {
        if (message.Type == "input_reply") _answers.Add(message.Content["value"]?.ToString() ?? "");
    }

    private void Publish(Message request, string type, JsonObject content) =>
        _sockets.Publish(Message.New(type, content, _session, request.Header, [Topic(type)]));
}
