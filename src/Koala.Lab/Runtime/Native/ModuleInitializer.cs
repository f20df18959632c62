using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Koala.Lab.Runtime.Native;

internal static class ModuleInitializer
{
    /// <summary>
    /// Loads libtorch from where Koala finds it, before any code can use TorchSharp, which would otherwise copy 480 MB into the folder
    /// of its assembly.
    /// </summary>
    [ModuleInitializer]
    [SuppressMessage("Usage", "CA2255",
        Justification = "An assembly has one DllImport resolver, and it must be set before the first use of TorchSharp.")]
    internal static void Initialize() => LibTorch.Prepare();
}
