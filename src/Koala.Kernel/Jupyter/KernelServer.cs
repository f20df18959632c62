using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Koala.Kernel.Display;
using Koala.Kernel.Language;

namespace Koala.Kernel.Jupyter;

/// <summary>
/// Answers the messages of Jupyter clients. Cells wait in a queue; control requests are served at once.
/// </summary>
internal sealed class KernelServer : IDisposable
{
    private readonly Sockets _sockets;
    private readonly Engine _engine;
    private readonly Completion _completion;
    private readonly History _history = new();
    private readonly string _session = Guid.NewGuid().ToString("N");
    private readonly BlockingCollection<Message> _requests = [];
    private readonly BlockingCollection<string> _inputs = [];
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _executionCount;

    // Requests that were already queued when the cell before them failed.
    private readonly List<Message> _queuedAtFailure = [];

    /// <param name="file">The addresses to bind.</param>
    /// <param name="commands">What <c>#!koala</c> runs.</param>
    public KernelServer(ConnectionFile file, ICellCommands commands)
    {
        _engine = new Engine(commands);
        _sockets = new Sockets(file) { Shell = _requests.Add, Control = OnControl, Stdin = OnStdin };
        _completion = new Completion(_engine.Session, commands);
        File = _sockets.File;
    }

    /// <summary>The connection file with the ports in use.</summary>
    public ConnectionFile File { get; }

    /// <summary>Serves until a client asks for shutdown or <paramref name="cancel"/> is cancelled.</summary>
    public async Task RunAsync(CancellationToken cancel)
    {
        Engine.Install();
        _sockets.Start();
        await using var ending = cancel.Register(() => _ended.TrySetResult()).ConfigureAwait(false);
        new Thread(_engine.WarmUp) { IsBackground = true, Name = "warm-up" }.Start();
        var serving = new Thread(ServeShell) { IsBackground = true, Name = "shell" };
        var starting = new JsonObject { ["execution_state"] = "starting" };
        _sockets.Publish(Message.New("status", starting, _session, identities: [Topic("status")]));
        serving.Start();
        await _ended.Task.ConfigureAwait(false);
    }

    /// <summary>Interrupts the running cell.</summary>
    public void Interrupt() => _engine.Interrupt();

    public void Dispose()
    {
        _sockets.Dispose();
        _completion.Dispose();
        _engine.Dispose();
    }

    /// <summary>The topic of messages of a type, to which clients subscribe.</summary>
    internal static byte[] Topic(string name) => System.Text.Encoding.UTF8.GetBytes($"kernel.koala.{name}");

    private void ServeShell()
    {
        foreach (var request in _requests.GetConsumingEnumerable())
        {
            Serve(request, onControl: false, () => Answer(request));
            AbortQueuedAtFailure();
        }
    }

    // Control requests come on the thread of the sockets, and must not wait for a cell.
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
#pragma warning disable CA1031 // An error in one answer must not end the kernel.
        catch (Exception e)
#pragma warning restore CA1031
        {
            content = new CellError(e.GetType().Name, e.Message, [e.ToString()]).ToJson();
            content["status"] = "error";
        }
        if (content is not null)
        {
            if (!content.ContainsKey("status")) content["status"] = "ok";
            var type = request.Type.Replace("_request", "_reply", StringComparison.Ordinal);
            _sockets.Reply(request, onControl, Message.New(type, content, _session, request.Header));
        }
        Publish(request, "status", new JsonObject { ["execution_state"] = "idle" });
        if (request.Type == "shutdown_request") _ended.TrySetResult();
    }

    private JsonObject? Answer(Message request) => request.Type switch
    {
        "kernel_info_request" => KernelInfo.Content,
        "execute_request" => Execute(request),
        "complete_request" => _completion.Complete(request.Content),
        "inspect_request" => _completion.Inspect(request.Content),
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

    private static JsonObject Shutdown(Message request) =>
        new() { ["restart"] = request.Content["restart"]?.GetValue<bool>() ?? false };

    private JsonObject Execute(Message request)
    {
        var code = request.Content["code"]?.ToString() ?? "";
        var silent = Flag("silent", false);
        if (!silent) _executionCount++;
        var number = _executionCount;
        var input = new JsonObject { ["code"] = code, ["execution_count"] = number };
        if (!silent) Publish(request, "execute_input", input);
        if (!silent && Flag("store_history", true)) _history.Add(number, code);
        using var output = new CellOutput((type, content) =>
        {
            if (!silent || type != "execute_result") Publish(request, type, content);
        });
        Func<string, bool, string?>? read = Flag("allow_stdin", false) ? (prompt, hidden) => Ask(request, prompt, hidden) : null;
        var language = CellLanguage.CSharp;
        CellError? error = null;
        try
        {
            language = CellLanguage.OfCell(request.Metadata) ?? language;
        }
        catch (FormatException e)
        {
            // As an error of the engine, it is also an output of the cell.
            error = CellError.OfFault(Fault.Create("the cell", $"has metadata of which {e.Message}", "correct that metadata", e));
            output.Error(error);
        }
        RunningRequest.Begin(request);
        error ??= _engine.Run(code, number, language, output, read);
        RunningRequest.End();
        if (error is null)
        {
            if (language == CellLanguage.CSharp) _completion.AddCell(code);
            return new JsonObject { ["execution_count"] = number, ["payload"] = new JsonArray(), ["user_expressions"] = new JsonObject() };
        }
        // This happens before the reply is sent, because a cell that a client sends in answer to the reply must run.
        if (Flag("stop_on_error", true))
            while (_requests.TryTake(out var queued)) _queuedAtFailure.Add(queued);
        var reply = error.ToJson();
        reply["status"] = "error";
        reply["execution_count"] = number;
        return reply;

        bool Flag(string name, bool defaultValue) =>
            request.Content[name] is JsonValue value && value.TryGetValue(out bool flag) ? flag : defaultValue;
    }

    // Cells that were queued at the failure do not run; other requests are answered.
    private void AbortQueuedAtFailure()
    {
        foreach (var request in _queuedAtFailure)
            Serve(request, onControl: false, () => request.Type == "execute_request" ? Aborted() : Answer(request));
        _queuedAtFailure.Clear();

        JsonObject Aborted() => new() { ["status"] = "aborted", ["execution_count"] = _executionCount };
    }

    private string? Ask(Message request, string prompt, bool hidden)
    {
        while (_inputs.TryTake(out _)) { }
        var question = new JsonObject { ["prompt"] = prompt, ["password"] = hidden };
        _sockets.Ask(request, Message.New("input_request", question, _session, request.Header));
        return _inputs.Take();
    }

    private void OnStdin(Message message)
    {
        if (message.Type == "input_reply") _inputs.Add(message.Content["value"]?.ToString() ?? "");
    }

    private void Publish(Message request, string type, JsonObject content) =>
        _sockets.Publish(Message.New(type, content, _session, request.Header, [Topic(type)]));
}
