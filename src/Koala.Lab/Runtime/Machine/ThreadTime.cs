using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Koala.Lab.Runtime.Machine;

/// <summary>The processor time of the calling thread. It stands still while other threads have the processor.</summary>
internal static partial class ThreadTime
{
    private const int LinuxClock = 3, MacClock = 16;   // CLOCK_THREAD_CPUTIME_ID

    /// <summary>The processor time that the calling thread has taken so far.</summary>
    /// <exception cref="Win32Exception">The system does not tell.</exception>
    public static TimeSpan Now()
    {
        if (OperatingSystem.IsWindows())
            return GetThreadTimes(GetCurrentThread(), out _, out _, out var kernel, out var user)
                ? TimeSpan.FromTicks(kernel + user)
                : throw new Win32Exception();
        return ClockGetTime(OperatingSystem.IsMacOS() ? MacClock : LinuxClock, out var time) == 0
            ? new TimeSpan(time.Seconds * TimeSpan.TicksPerSecond + time.Nanoseconds / TimeSpan.NanosecondsPerTick)
            : throw new Win32Exception();
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Time
    {
        public nint Seconds;
        public nint Nanoseconds;
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int ClockGetTime(int clock, out Time time);

    [LibraryImport("kernel32", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial nint GetCurrentThread();

    [LibraryImport("kernel32", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool GetThreadTimes(nint thread, out long creation, out long exit, out long kernel, out long user);
}
