using System.Runtime.CompilerServices;

namespace Koala.Kernel.Tests;

internal static class TestStart
{
    // The kernels inherit this. By default libtorch's threads spin while they wait for each other, which takes four
    // times as long on a machine under load.
    [ModuleInitializer]
    internal static void Wait() => Environment.SetEnvironmentVariable("OMP_WAIT_POLICY", "passive");
}
