using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Koala.Kernel.Jupyter;

/// <summary>Ends this kernel when the client that started it has ended, even if the client was killed.</summary>
internal static partial class ParentWatch
{
    /// <summary>
    /// The environment variable in which Jupyter and <see cref="KernelProcess"/> pass the process id of the client.
    /// </summary>
    public const string Variable = "JPY_PARENT_PID";

    private const int PollMilliseconds = 500;

    public static void Start()
    {
        var id = Environment.GetEnvironmentVariable(Variable);
        if (!int.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out var client)) return;
        // A killed client may stay in the process table. The system then gives this process another parent, which also
        // shows the end.
        var parent = OperatingSystem.IsWindows() ? 0 : GetParent();
        new Thread(() =>
        {
            while (Exists(client) && (OperatingSystem.IsWindows() || GetParent() == parent)) Thread.Sleep(PollMilliseconds);
            // The process is killed, because an orderly end would wait for a running cell.
            Process.GetCurrentProcess().Kill();
        })
        { IsBackground = true, Name = "parent watch" }.Start();
    }

    private static bool Exists(int process)
    {
        try
        {
            using var found = Process.GetProcessById(process);
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    [LibraryImport("libc", EntryPoint = "getppid")]
    private static partial int GetParent();
}
