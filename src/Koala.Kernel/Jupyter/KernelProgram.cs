using System.Diagnostics;
using System.Runtime.InteropServices;
using NetMQ;

namespace Koala.Kernel.Jupyter;

/// <summary>The kernel's process, from its connection file to its end.</summary>
public static class KernelProgram
{
    private const int EndMilliseconds = 2000;
    private const string InlineCompletions = "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS";

    /// <summary>Serves until a client asks for shutdown.</summary>
    /// <param name="connectionFile">Path of the connection file.</param>
    /// <exception cref="Koala.Lab.KoalaException">The connection file does not fit, or its ports are taken.</exception>
    public static void Run(string connectionFile)
    {
        ParentWatch.Start();
        // By itself .NET hands what arrives at a socket to the thread pool: a cell whose loops fill the pool could not be interrupted for
        // seconds. Read once, when the first socket is made.
        Environment.SetEnvironmentVariable(InlineCompletions, "1");
        var asked = ConnectionFile.Read(connectionFile);
        KernelServer server;
        try
        {
            server = new KernelServer(asked);
        }
        catch (NetMQException e)
        {
            throw Fault.Create(connectionFile, $"names an address that cannot be bound ({e.Message.TrimEnd('.')})", "start the kernel anew, with other ports", e);
        }
        // Not for what cells start.
        Environment.SetEnvironmentVariable(InlineCompletions, null);
        using var terminate = new CancellationTokenSource();
        // Jupyter's older kernel specs interrupt by signal; unhandled it would end the process.
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context =>
        {
            context.Cancel = true;
            server.Interrupt();
        });
        using var term = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context =>
        {
            context.Cancel = true;
            terminate.Cancel();
        });
        if (!asked.IsReady) server.File.Write(connectionFile);
        server.RunAsync(terminate.Token).GetAwaiter().GetResult();
        // A cell that still runs must not keep the process.
        new Thread(() =>
        {
            Thread.Sleep(EndMilliseconds);
            Process.GetCurrentProcess().Kill();
        })
        { IsBackground = true, Name = "end" }.Start();
        server.Dispose();
        NetMQConfig.Cleanup(block: true);
        Environment.Exit(0);
    }
}
