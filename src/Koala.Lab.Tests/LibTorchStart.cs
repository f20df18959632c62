using System.Runtime.CompilerServices;
using Koala.Lab.Runtime;

namespace Koala.Lab.Tests;

internal static class LibTorchStart
{
    /// <summary>A test may touch TorchSharp before the library, which would have TorchSharp copy libtorch beside the tests.</summary>
    [ModuleInitializer]
    internal static void Initialize() => LibTorch.EnsureLoaded();
}
