using System.Runtime.InteropServices;

namespace Koala.Lab.Runtime.Native;

/// <summary>How libtorch's threads wait for each other on a CPU.</summary>
/// <remarks>
/// By default they spin, which is a little faster while nothing else runs. When other processes want the cores, each of the hundreds of
/// operators of a training step then waits for a thread that is not running, and a step takes several times as long.
/// </remarks>
internal static partial class OpenMpWaiting
{
    /// <summary>The variable that libtorch's OpenMP reads once, when it is loaded.</summary>
    public const string Variable = "OMP_WAIT_POLICY";

    /// <summary>Lets threads sleep while they wait, unless the user has set the variable. Call this before libtorch is loaded.</summary>
    public static void LetThreadsSleep()
    {
        // .NET's variables are a copy of the process's own, which OpenMP reads.
        if (OperatingSystem.IsLinux()) _ = SetVariable(Variable, "passive", overwrite: 0);
    }

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int SetVariable(string name, string value, int overwrite);
}
