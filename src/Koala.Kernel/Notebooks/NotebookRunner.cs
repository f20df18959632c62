using System.Text.Json.Nodes;
using System.Threading.Channels;
using Koala.Kernel.Jupyter;
using Koala.Lab;

namespace Koala.Kernel.Notebooks;

/// <summary>Runs all cells of a notebook in a new kernel, without Jupyter.</summary>
public sealed class NotebookRunner
{
    // The time that an interrupted cell has before its kernel is killed.
    private static readonly TimeSpan s_interruptTime = TimeSpan.FromSeconds(5);

    private readonly Notebook _notebook;
    private readonly RunOptions _options;
    private readonly CellOutputs _outputs = new();

    /// <summary>Reads the notebook and injects the parameters.</summary>
    /// <exception cref="KoalaException">The notebook or a parameter is not valid; nothing has run.</exception>
    public NotebookRunner(string path, RunOptions options)
    {
        _options = options;
        _notebook = Notebook.Read(path);
        _notebook.CheckLanguages();
        Parameters.Inject(_notebook, options.Parameters);
        _notebook.Clear();
    }

    /// <summary>Runs the cells up to the first that fails, and saves the outputs after each cell.</summary>
    /// <param name="progress">A receiver of reports, one before each cell and one at the end; null for none.</param>
    /// <param name="cancel">A token that interrupts the running cell, which then counts as failed.</param>
    /// <exception cref="KoalaException">The kernel did not start, or an output file cannot be written.</exception>
    /// <exception cref="OperationCanceledException">
    /// The run was cancelled; the outputs of the cells that ran are saved.
    /// </exception>
    public async Task<RunResult> RunAsync(IProgress<RunProgress>? progress, CancellationToken cancel)
    {
        var start = TimeProvider.System.GetTimestamp();
        // A file that cannot be written is an error now, and not after an hour of work.
        Save();
        var folder = Path.GetDirectoryName(Path.GetFullPath(_notebook.Path))!;
        using var kernel = await KernelProcess.StartAsync(folder, cancel).ConfigureAwait(false);
        var cells = _notebook.Cells.Where(cell => cell.IsCode).ToArray();
        var done = 0;
        RunFailure? failure = null;
        while (failure is null && done < cells.Length)
        {
            var cell = cells[done];
            progress?.Report(new RunProgress(done++, cells.Length, FirstLine(cell.Source)));
            if (cell.IsSkipped || cell.IsEmpty) continue;
            failure = await RunCellAsync(kernel, cell, done, cancel).ConfigureAwait(false);
            Save();
        }
        await kernel.ShutdownAsync().ConfigureAwait(false);
        Drain(kernel.Client.Incoming);
        Save();
        cancel.ThrowIfCancellationRequested();
        progress?.Report(new RunProgress(done, cells.Length, ""));
        var seconds = TimeProvider.System.GetElapsedTime(start).TotalSeconds;
        return new RunResult(_notebook.Path, cells.Length, cells.Count(cell => cell.HasRun), seconds, failure);
    }

    private async Task<RunFailure?> RunCellAsync(KernelProcess kernel, NotebookCell cell, int number, CancellationToken cancel)
    {
        using var timeout = new CancellationTokenSource();
        if (_options.TimeoutSeconds is { } seconds) timeout.CancelAfter(TimeSpan.FromSeconds(seconds));
        var request = kernel.Client.Send("execute_request", new JsonObject
        {
            ["code"] = cell.Source,
            ["silent"] = false,
            ["store_history"] = true,
            ["user_expressions"] = new JsonObject(),
            ["allow_stdin"] = false,
            ["stop_on_error"] = !cell.MayRaise,
        }, CellLanguage.ToMetadata(cell.Language), $"{_notebook.Path}, code cell {number}");
        _outputs.Begin(request, cell);
        cell.HasRun = true;

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancel);
        var reply = await ListenAsync(kernel, request, stop.Token).ConfigureAwait(false);
        var timedOut = timeout.IsCancellationRequested && reply is null;
        if (reply is null && !kernel.HasExited)
        {
            kernel.Client.SendControl("interrupt_request", []);
            using var interruptTimeout = new CancellationTokenSource(s_interruptTime);
            reply = await ListenAsync(kernel, request, interruptTimeout.Token).ConfigureAwait(false);
            if (reply is null && !kernel.HasExited) kernel.Kill();
        }
        if (timedOut) return Fail(cell, number, "Timeout", $"the cell took longer than {_options.TimeoutSeconds} s", []);
        if (reply is null)
        {
            var (cause, lastLines) = kernel.DescribeEnd();
            return Fail(cell, number, "KernelDied", $"the kernel's process {cause}", lastLines);
        }
        if (reply["status"]?.ToString() == "ok") return null;
        // The error is among the outputs. An interrupt is not the error that the tag allows.
        if (cell.MayRaise && !cancel.IsCancellationRequested) return null;
        string[] traceback = [.. reply["traceback"]!.AsArray().Select(line => line!.ToString())];
        return new RunFailure(number, reply["ename"]!.ToString(), reply["evalue"]!.ToString(), traceback);
    }

    /// <summary>
    /// Receives messages until the cell is done, which means that its reply has come and the kernel is idle again.
    /// </summary>
    /// <returns>The content of the reply; null if <paramref name="cancel"/> was cancelled or the kernel died.</returns>
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
                else _outputs.Add(parent, message.Type, message.Content);
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
        while (incoming.TryRead(out var message))
            _outputs.Add(message.Parent["msg_id"]?.ToString() ?? "", message.Type, message.Content);
    }

    private RunFailure Fail(NotebookCell cell, int number, string name, string message, IReadOnlyList<string> details)
    {
        IReadOnlyList<string> traceback = [$"{name}: {message}", .. details];
        _outputs.AddError(cell, name, message, traceback);
        return new RunFailure(number, name, message, traceback);
    }

    private void Save()
    {
        _outputs.FlushText();
        if (_options.Output is { } output) _notebook.Write(output);
        if (_options.Html is { } html) HtmlPage.Write(_notebook, html, _options.Trust);
    }

    // The first line that is neither empty nor a comment.
    private static string FirstLine(string source)
    {
        var lines = source.Split('\n').Select(line => line.Trim());
        return lines.FirstOrDefault(line => line.Length > 0 && !line.StartsWith("//", StringComparison.Ordinal)) ?? "";
    }
}
