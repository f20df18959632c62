using System.Runtime.CompilerServices;
using Koala.Lab.Runtime.Native;

namespace Koala.Lab.Tests;

internal static class LibTorchStart
{
    /// <summary>A test may touch TorchSharp before the library, which would have TorchSharp copy libtorch beside the tests.</summary>
    /// <remarks>
    /// One thread, unless OMP_NUM_THREADS says otherwise, as it does in .ci/run: `dotnet test` runs the test projects side by side, and two
    /// processes whose threads wait for each other by spinning take many times as long as one after the other. It also holds the results
    /// to any number of threads.
    /// </remarks>
    [ModuleInitializer]
    internal static void Initialize()
    {
        LibTorch.EnsureLoaded();
        UseThreads();
    }

    // A method of its own: libtorch has to be loaded before one that names TorchSharp is compiled.
    private static void UseThreads()
    {
        var asked = Environment.GetEnvironmentVariable("OMP_NUM_THREADS");
        TorchSharp.torch.set_num_threads(int.TryParse(asked, out var threads) ? threads : 1);
    }
}
