using System.Runtime.CompilerServices;
using Koala.Lab.Runtime.Native;

namespace Koala.Lab.Tests;

internal static class LibTorchStart
{
    /// <summary>
    /// Loads libtorch before any test uses TorchSharp, which would otherwise copy libtorch next to the tests.
    /// </summary>
    /// <remarks>
    /// Tests use one thread unless OMP_NUM_THREADS is set, as it is in .ci/run. `dotnet test` runs the test projects at
    /// the same time, and two processes whose threads spin while they wait for each other take many times as long as
    /// one after the other. The setting also requires that results do not depend on the number of threads.
    /// </remarks>
    [ModuleInitializer]
    internal static void Initialize()
    {
        LibTorch.EnsureLoaded();
        UseThreads();
    }

    // This is a separate method because libtorch has to be loaded before a method that names TorchSharp is compiled.
    private static void UseThreads()
    {
        var asked = Environment.GetEnvironmentVariable("OMP_NUM_THREADS");
        TorchSharp.torch.set_num_threads(int.TryParse(asked, out var threads) ? threads : 1);
    }
}
