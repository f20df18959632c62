using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Koala.Kernel.Jupyter;

/// <summary>Ends this kernel when the client that started it is gone, even killed: nobody else would.</summary>
internal static partial class ParentWatch
{
    /// <summary>Set by Jupyter, and by <see cref="KernelProcess"/>, to the client's process id.</summary>
    public const string Variable = "JPY_PARENT_PID";

    private const int LookEveryMilliseconds = 500;

    public static void Start()
    {
        if (!int.TryParse(Environment.GetEnvironmentVariable(Variable), NumberStyles.None, CultureInfo.InvariantCulture, out var client)) return;
        // A killed client may stay in the process table; being handed to another parent shows it all the same.
        var parent = OperatingSystem.IsWindows() ? 0 : GetParent();
        new Thread(() =>
        {
            while (Exists(client) && (OperatingSystem.IsWindows() || GetParent() == parent)) Thread.Sleep(LookEveryMilliseconds);
            // At once: a cell may be running, and an orderly end would wait for it.
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
