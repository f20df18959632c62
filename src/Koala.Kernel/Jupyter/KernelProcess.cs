using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Koala.Lab;

namespace Koala.Kernel.Jupyter;

/// <summary>A kernel in a separate process. A native crash in a cell ends that process and not this one.</summary>
internal sealed class KernelProcess : IDisposable
{
    private static readonly TimeSpan s_startTimeout = TimeSpan.FromSeconds(60);

    private readonly Process _process;
    private readonly string _connectionFile;
    private readonly LastLines _lastLines = new();

    private KernelProcess(Process process, string connectionFile)
    {
        (_process, _connectionFile) = (process, connectionFile);
        process.ErrorDataReceived += (_, e) => _lastLines.Add(e.Data);
        process.OutputDataReceived += (_, e) => _lastLines.Add(e.Data);
        process.BeginErrorReadLine();
        process.BeginOutputReadLine();
        Client = null!;
    }

    public KernelClient Client { get; private set; }

    /// <summary>The addresses and the key of the kernel.</summary>
    public ConnectionFile Connection { get; private set; } = null!;

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    /// <summary>The command line that starts the <c>koala</c> command; its arguments come after it.</summary>
    public static string[] CommandLine()
    {
        // The runtime of this process is in .../shared/Microsoft.NETCore.App/10.0.x/, three folders below dotnet.
        var program = OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet";
        var dotnet = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", program));
        return [File.Exists(dotnet) ? dotnet : "dotnet", Path.Combine(AppContext.BaseDirectory, "koala.dll")];
    }

    /// <summary>Starts a kernel and waits until it answers.</summary>
    /// <param name="folder">The working directory of the kernel.</param>
    /// <param name="cancel">A token that ends the kernel while it starts.</param>
    /// <exception cref="KoalaException">The kernel did not start.</exception>
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
        var start = new ProcessStartInfo(command[0], [.. command[1..], "kernel", "start", "--connection-file", file])
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
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

    /// <summary>A task that completes when the process has ended.</summary>
    public Task Ended => _process.WaitForExitAsync();

    /// <summary>Describes how the process ended, and tells the last lines that it printed.</summary>
    public (string Cause, IReadOnlyList<string> LastLines) DescribeEnd()
    {
        _process.WaitForExit(1000);
        var cause = _process.HasExited ? Cause(_process.ExitCode) : "does not answer";
        return (cause, _lastLines.Told);
    }

    /// <summary>Asks the kernel to end, and kills its process if it does not.</summary>
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

    /// <summary>Whether a process with this exit code was ended by a signal of the system.</summary>
    internal static bool IsCrash(int exitCode) => exitCode > 128;

    internal static string Cause(int exitCode) => exitCode switch
    {
        134 => "was aborted by native code (exit code 134)",
        137 => "was killed, which the system does when memory runs out (exit code 137)",
        139 => "crashed in native code (exit code 139)",
        _ => $"ended with exit code {exitCode}",
    };

    private async Task ConnectAsync(CancellationToken cancel)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        timeout.CancelAfter(s_startTimeout);
        try
        {
            while (!(Connection = ConnectionFile.Read(_connectionFile)).IsReady)
            {
                if (_process.HasExited) throw StartFailure();
                await Task.Delay(5, timeout.Token).ConfigureAwait(false);
            }
            Client = new KernelClient(Connection);
            // The subscription is active once a message arrives that the kernel published for a request of this client.
            while (!await IsSubscribedAsync(timeout.Token).ConfigureAwait(false))
            {
                if (_process.HasExited) throw StartFailure();
            }
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw StartFailure();
        }
    }

    // Sends a request, and waits for a moment until the kernel publishes its status for it.
    private async Task<bool> IsSubscribedAsync(CancellationToken cancel)
    {
        var id = Client.Send("kernel_info_request", []);
        using var attempt = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        attempt.CancelAfter(200);
        try
        {
            while (true)
            {
                var message = await Client.Incoming.ReadAsync(attempt.Token).ConfigureAwait(false);
                if (message.Type == "status" && message.Parent["msg_id"]?.ToString() == id) return true;
            }
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            return false;
        }
    }

    private KoalaException StartFailure()
    {
        var (cause, _) = DescribeEnd();
        var lastLine = _lastLines.Last is { } last ? $" ({last})" : "";
        return new KoalaException("kernel", $"did not start: it {cause}{lastLine}", "run `koala doctor`");
    }
}
