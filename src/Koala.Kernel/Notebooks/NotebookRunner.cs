using System.Text.Json.Nodes;
using System.Threading.Channels;
using Koala.Kernel.Jupyter;
using Koala.Lab;

namespace Koala.Kernel.Notebooks;

/// <summary>Runs a notebook from its first cell to its last in a kernel of its own, without Jupyter.</summary>
public sealed class NotebookRunner
{
    private static readonly TimeSpan s_stopTime = TimeSpan.FromSeconds(5);

    private readonly Notebook _notebook;
    private readonly RunOptions _options;
    private readonly CellOutputs _outputs = new();

    /// <summary>Reads the notebook and puts the parameters in.</summary>
    /// <exception cref="KoalaException">The notebook or a parameter does not fit; nothing has run.</exception>
    public NotebookRunner(string path, RunOptions options)
    {
        _options = options;
        _notebook = Notebook.Read(path);
        _notebook.CheckKernel();
        Parameters.Inject(_notebook, options.Parameters);
        _notebook.Clear();
    }

    /// <summary>Runs all cells, or up to the first that fails; writes the outputs after each.</summary>
    /// <param name="progress">Told of each cell before it runs; null: nobody.</param>
    /// <param name="cancel">Interrupts the running cell, which then counts as failed.</param>
    /// <exception cref="KoalaException">The kernel did not start, or an output cannot be written.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; what ran is written.</exception>
    public async Task<RunResult> RunAsync(IProgress<RunProgress>? progress, CancellationToken cancel)
    {
        var begun = TimeProvider.System.GetTimestamp();
        // Told now, not after an hour of work.
        Save();
        using var kernel = await KernelProcess.StartAsync(Path.GetDirectoryName(Path.GetFullPath(_notebook.Path))!, cancel).ConfigureAwait(false);
        var cells = _notebook.Cells.Where(cell => cell.IsCode).ToArray();
        var ran = 0;
        RunFailure? failure = null;
        while (failure is null && ran < cells.Length)
        {
            progress?.Report(new RunProgress(ran, cells.Length, FirstLine(cells[ran].Source)));
            failure = await RunCellAsync(kernel, cells[ran], ++ran, cancel).ConfigureAwait(false);
            Save();
        }
        await kernel.ShutdownAsync().ConfigureAwait(false);
        Drain(kernel.Client.Incoming);
        Save();
        cancel.ThrowIfCancellationRequested();
        progress?.Report(new RunProgress(ran, cells.Length, ""));
        return new RunResult(_notebook.Path, cells.Length, ran, TimeProvider.System.GetElapsedTime(begun).TotalSeconds, failure);
    }

    private async Task<RunFailure?> RunCellAsync(KernelProcess kernel, NotebookCell cell, int number, CancellationToken cancel)
    {
        if (string.IsNullOrWhiteSpace(cell.Source)) return null;
        using var late = new CancellationTokenSource();
        if (_options.TimeoutSeconds is { } seconds) late.CancelAfter(TimeSpan.FromSeconds(seconds));
        var request = kernel.Client.Send("execute_request", new JsonObject
        {
            ["code"] = cell.Source,
            ["silent"] = false,
            ["store_history"] = true,
            ["user_expressions"] = new JsonObject(),
            ["allow_stdin"] = false,
            ["stop_on_error"] = true,
        });
        _outputs.Begin(request, cell);
        cell.ExecutionCount = number;

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancel);
        var reply = await ListenAsync(kernel, request, stop.Token).ConfigureAwait(false);
        var timedOut = late.IsCancellationRequested && reply is null;
        if (reply is null && !kernel.HasExited)
        {
            kernel.Client.SendControl("interrupt_request", []);
            using var patience = new CancellationTokenSource(s_stopTime);
            reply = await ListenAsync(kernel, request, patience.Token).ConfigureAwait(false);
            if (reply is null && !kernel.HasExited) kernel.Kill();
        }
        if (timedOut) return Fail(cell, number, "Timeout", $"the cell took longer than {_options.TimeoutSeconds} s", []);
        if (reply is null)
        {
            var (cause, last) = kernel.Ending();
            return Fail(cell, number, "KernelDied", $"the kernel's process {cause}", last.Count > 0 ? ["What it said last:", .. last] : ["It said nothing."]);
        }
        if (reply["status"]?.ToString() == "ok") return null;
        return new RunFailure(number, reply["ename"]!.ToString(), reply["evalue"]!.ToString(), [.. reply["traceback"]!.AsArray().Select(line => line!.ToString())]);
    }

    /// <summary>Takes what comes until the cell is done: the reply has come and the kernel is idle again. Null: cancelled, or the kernel died.</summary>
    private async Task<JsonObject?> ListenAsync(KernelProcess kernel, string request, CancellationToken cancel)
    {
        JsonObject? reply = null;
        var idle = false;
        using var listening = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var ended = kernel.Ended.ContinueWith(_ => listening.CancelAsync(), TaskScheduler.Default);
        try
        {
            while (reply is null || !idle)
            {
                var message = await kernel.Client.Incoming.ReadAsync(listening.Token).ConfigureAwait(false);
                var parent = message.Parent["msg_id"]?.ToString() ?? "";
                if (parent == request && message.Type == "execute_reply") reply = message.Content;
                else if (parent == request && message.Type == "status") idle = message.Content["execution_state"]?.ToString() == "idle";
                else _outputs.Take(parent, message.Type, message.Content);
            }
            return reply;
        }
        catch (OperationCanceledException)
        {
            Drain(kernel.Client.Incoming);
            return null;
        }
    }

    private void Drain(ChannelReader<Message> incoming)
    {
        while (incoming.TryRead(out var message)) _outputs.Take(message.Parent["msg_id"]?.ToString() ?? "", message.Type, message.Content);
    }

    private RunFailure Fail(NotebookCell cell, int number, string name, string message, IReadOnlyList<string> details)
    {
        IReadOnlyList<string> traceback = [$"{name}: {message}", .. details];
        _outputs.AddError(cell, name, message, traceback);
        return new RunFailure(number, name, message, traceback);
    }

    private void Save()
    {
        _outputs.Settle();
        if (_options.Output is { } output) _notebook.Write(output);
        if (_options.Html is { } html) HtmlPage.Write(_notebook, html);
    }

    private static string FirstLine(string source) =>
        source.Split('\n').Select(line => line.Trim()).FirstOrDefault(line => line.Length > 0 && !line.StartsWith("//", StringComparison.Ordinal)) ?? "";
}
