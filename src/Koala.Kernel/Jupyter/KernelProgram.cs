using System.Diagnostics;
using System.Runtime.InteropServices;
using NetMQ;

namespace Koala.Kernel.Jupyter;

/// <summary>The main program of a kernel process.</summary>
public static class KernelProgram
{
    private const int EndMilliseconds = 2000;
    private const string InlineCompletions = "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS";

    /// <summary>Serves until a client asks for shutdown.</summary>
    /// <param name="connectionFile">The path of the connection file.</param>
    /// <param name="commands">What <c>#!koala</c> runs.</param>
    /// <exception cref="Koala.Lab.KoalaException">
    /// The connection file is not valid, or its ports are in use.
    /// </exception>
    public static void Run(string connectionFile, ICellCommands commands)
    {
        ParentWatch.Start();
        // By default .NET passes what arrives at a socket to the thread pool, so a cell whose loops fill the pool could
        // not be interrupted for seconds. .NET reads this variable once, when the first socket is created.
        Environment.SetEnvironmentVariable(InlineCompletions, "1");
        var file = ConnectionFile.Read(connectionFile);
        var server = CreateServer(file, connectionFile, commands);
        // Processes that cells start must not inherit the variable.
        Environment.SetEnvironmentVariable(InlineCompletions, null);
        using var terminate = new CancellationTokenSource();
        // Older kernel specs of Jupyter interrupt by this signal. If it were not handled, it would end the process.
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
        if (!file.IsReady) server.File.Write(connectionFile);
        server.RunAsync(terminate.Token).GetAwaiter().GetResult();
        // A cell that still runs must not keep the process alive.
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

    /// <summary>Creates the server of a kernel, which is bound to the addresses of its connection file.</summary>
    /// <exception cref="Koala.Lab.KoalaException">The addresses cannot be bound.</exception>
    internal static KernelServer CreateServer(ConnectionFile file, string path, ICellCommands commands)
    {
        try
        {
            return new KernelServer(file, commands);
        }
        // NetMQ, the resolver and the sockets of .NET each have exceptions of their own for an address.
        catch (Exception e)
        {
            throw Fault.Create(path, $"names an address that cannot be bound ({Excerpt.Of(e.Message.TrimEnd('.'))})",
                "start the kernel again with other ports", e);
        }
    }
}
