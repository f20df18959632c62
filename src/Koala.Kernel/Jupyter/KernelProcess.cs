using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Koala.Lab;

namespace Koala.Kernel.Jupyter;

/// <summary>A kernel in a process of its own: a native crash in a cell ends that process and not this one.</summary>
internal sealed class KernelProcess : IDisposable
{
    private const int KeptLines = 20;

    private static readonly TimeSpan s_startTime = TimeSpan.FromSeconds(60);

    private readonly Process _process;
    private readonly string _connectionFile;
    private readonly Queue<string> _lastLines = [];

    private KernelProcess(Process process, string connectionFile)
    {
        (_process, _connectionFile) = (process, connectionFile);
        process.ErrorDataReceived += (_, e) => Keep(e.Data);
        process.OutputDataReceived += (_, e) => Keep(e.Data);
        process.BeginErrorReadLine();
        process.BeginOutputReadLine();
        Client = null!;
    }

    public KernelClient Client { get; private set; }

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    /// <summary>How a program is started that is this command; what follows are its arguments.</summary>
    public static string[] CommandLine()
    {
        // The runtime this process runs on: .../shared/Microsoft.NETCore.App/10.0.x/
        var dotnet = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet"));
        return [File.Exists(dotnet) ? dotnet : "dotnet", Path.Combine(AppContext.BaseDirectory, "koala.dll")];
    }

    /// <summary>Starts a kernel and waits until it answers.</summary>
    /// <param name="folder">Its working directory.</param>
    /// <param name="cancel">Ends it.</param>
    /// <exception cref="KoalaException">It did not come up.</exception>
    public static async Task<KernelProcess> StartAsync(string folder, CancellationToken cancel)
    {
        var file = Path.Combine(Path.GetTempPath(), $"koala-kernel-{Guid.NewGuid():N}.json");
        new ConnectionFile
        {
            Ip = "127.0.0.1",
            Transport = "tcp",
            Key = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32)),
            ShellPort = 0,
            IopubPort = 0,
            StdinPort = 0,
            ControlPort = 0,
            HeartbeatPort = 0,
        }.Write(file);
        var command = CommandLine();
        var start = new ProcessStartInfo(command[0]) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        foreach (var argument in (string[])[.. command[1..], "kernel", "start", "--connection-file", file]) start.ArgumentList.Add(argument);
        start.Environment[ParentWatch.Variable] = Environment.ProcessId.ToString();
        var kernel = new KernelProcess(Process.Start(start)!, file);
        try
        {
            await kernel.ConnectAsync(cancel).ConfigureAwait(false);
            return kernel;
        }
        catch
        {
            kernel.Dispose();
            throw;
        }
    }

    /// <summary>Completes when the process has ended.</summary>
    public Task Ended => _process.WaitForExitAsync();

    /// <summary>How it ended, in words, and what it said last.</summary>
    public (string Cause, IReadOnlyList<string> LastLines) Ending()
    {
        _process.WaitForExit(1000);
        var cause = _process.HasExited ? Cause(_process.ExitCode) : "does not answer";
        lock (_lastLines) return (cause, [.. _lastLines]);
    }

    /// <summary>Asks it to end, and ends it if it does not.</summary>
    public async Task ShutdownAsync()
    {
        if (_process.HasExited) return;
        Client.SendControl("shutdown_request", new JsonObject { ["restart"] = false });
        try
        {
            await _process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(3)).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync().ConfigureAwait(false);
        }
    }

    public void Kill() => _process.Kill(entireProcessTree: true);

    public void Dispose()
    {
        Client?.Dispose();
        if (!_process.HasExited) _process.Kill(entireProcessTree: true);
        _process.Dispose();
        File.Delete(_connectionFile);
    }

    private static string Cause(int exitCode) => exitCode switch
    {
        134 => "was aborted by native code (exit code 134)",
        137 => "was killed, as the system does when memory runs out (exit code 137)",
        139 => "crashed in native code (exit code 139)",
        _ => $"ended with exit code {exitCode}",
    };

    private async Task ConnectAsync(CancellationToken cancel)
    {
        using var late = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        late.CancelAfter(s_startTime);
        try
        {
            ConnectionFile file;
            while (!(file = ConnectionFile.Read(_connectionFile)).IsReady)
            {
                if (_process.HasExited) throw NotUp();
                await Task.Delay(5, late.Token).ConfigureAwait(false);
            }
            Client = new KernelClient(file);
            // Until its own publications arrive, the subscription is not in place.
            for (var heard = false; !heard;)
            {
                if (_process.HasExited) throw NotUp();
                var id = Client.Send("kernel_info_request", []);
                using var patience = CancellationTokenSource.CreateLinkedTokenSource(late.Token);
                patience.CancelAfter(200);
                try
                {
                    while (!heard)
                    {
                        var message = await Client.Incoming.ReadAsync(patience.Token).ConfigureAwait(false);
                        heard = message.Type == "status" && message.Parent["msg_id"]?.ToString() == id;
                    }
                }
                catch (OperationCanceledException) when (!late.IsCancellationRequested)
                {
                    // Asked again.
                }
            }
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw NotUp();
        }
    }

    private KoalaException NotUp()
    {
        var (cause, lines) = Ending();
        return new KoalaException("kernel", $"did not start: it {cause}{(lines.Count > 0 ? $" ({lines[^1]})" : "")}", "run `koala doctor`");
    }

    private void Keep(string? line)
    {
        if (line is null) return;
        lock (_lastLines)
        {
            _lastLines.Enqueue(line);
            if (_lastLines.Count > KeptLines) _lastLines.Dequeue();
        }
    }
}
