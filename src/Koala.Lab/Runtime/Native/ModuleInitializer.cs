using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Koala.Lab.Runtime.Native;

internal static class ModuleInitializer
{
    /// <summary>Loads libtorch from where Koala finds it before any code can touch TorchSharp, which would otherwise copy 480 MB beside its assembly.</summary>
    [ModuleInitializer]
    [SuppressMessage("Usage", "CA2255", Justification = "One DllImport resolver an assembly, and it must stand before the first use of TorchSharp.")]
    internal static void Initialize() => LibTorch.Prepare();
}
