using System.Runtime.CompilerServices;

namespace Koala.Kernel.Tests;

internal static class TestStart
{
    // Inherited by the kernels. libtorch's threads spin while they wait for each other: beside other work, four times
    // as long for the same.
    [ModuleInitializer]
    internal static void Wait() => Environment.SetEnvironmentVariable("OMP_WAIT_POLICY", "passive");
}
