using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Koala.Kernel.Display;
using NetMQ;
using NetMQ.Sockets;

namespace Koala.Kernel.Jupyter;

/// <summary>
/// Runs the kernel in a process of its own for Jupyter. If it crashes in native code, it cannot say so itself, and Jupyter only says that
/// the kernel died. So this process tells it, as an error of the cell that ran, with the last lines of standard error.
/// </summary>
public static class WatchedKernel
{
    // Clients try to connect again ten times a second.
    private static readonly TimeSpan s_reconnection = TimeSpan.FromSeconds(1.5);

    /// <summary>Runs until the kernel has ended.</summary>
    /// <param name="connectionFile">The path of the connection file.</param>
    /// <returns>The exit code of the kernel.</returns>
    public static int Run(string connectionFile)
    {
        ParentWatch.Start();
        var running = Path.GetTempFileName();
        try
        {
            // Jupyter signals the whole group of processes. The kernel answers, and ends this process by ending.
            using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context => context.Cancel = true);
            using var term = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => context.Cancel = true);
            var (exitCode, lastLines) = Serve(connectionFile, running);
            if (KernelProcess.IsCrash(exitCode)) Report(connectionFile, running, exitCode, lastLines);
            return exitCode;
        }
        finally
        {
            File.Delete(running);
        }
    }

    private static (int ExitCode, LastLines LastLines) Serve(string connectionFile, string running)
    {
        var command = KernelProcess.CommandLine();
        var start = new ProcessStartInfo(command[0], [.. command[1..], "kernel", "start", "--connection-file", connectionFile])
        {
            RedirectStandardError = true,
        };
        start.Environment[ParentWatch.Variable] = Environment.ProcessId.ToString();
        start.Environment[RunningRequest.Variable] = running;
        var lastLines = new LastLines();
        using var kernel = Process.Start(start)!;
        while (kernel.StandardError.ReadLine() is { } line)
        {
            Console.Error.WriteLine(line);
            lastLines.Add(line);
        }
        kernel.WaitForExit();
        return (kernel.ExitCode, lastLines);
    }

    private static void Report(string connectionFile, string running, int exitCode, LastLines lastLines)
    {
        if (RunningRequest.Read(running) is not { } request) return;
        var file = ConnectionFile.Read(connectionFile);
        var message = $"the kernel's process {KernelProcess.Cause(exitCode)}; all variables are lost";
        var error = new CellError("KernelDied", message, [$"KernelDied: {message}", .. lastLines.Told]);
        using var iopub = new PublisherSocket();
        iopub.Options.Linger = TimeSpan.FromSeconds(1);
        // The port is free, because the kernel has ended, and Jupyter starts another one only after this process.
        iopub.Bind($"tcp://{file.Ip}:{file.IopubPort}");
        Thread.Sleep(s_reconnection);
        var signing = new Signing(file.Key);
        var session = request["session"]?.ToString() ?? "";
        foreach (var (type, content) in new[] { ("error", error.ToJson()), ("status", new JsonObject { ["execution_state"] = "idle" }) })
            iopub.SendMultipartMessage(signing.Encode(Message.New(type, content, session, request, [KernelServer.Topic(type)])));
    }
}
