using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Koala.Lab.Runtime;

/// <summary>What the CUDA driver says of the first GPU. TorchSharp tells neither its name nor its memory.</summary>
/// <param name="Name">The maker's name for it.</param>
/// <param name="MemoryBytes">Its memory.</param>
/// <param name="FreeBytes">Of that, what no process has taken; what libtorch keeps in reserve counts as taken.</param>
public sealed record Gpu(string Name, long MemoryBytes, long FreeBytes)
{
    private const string Driver = "libcuda.so.1";

    /// <summary>The GPU that Koala computes on; null where there is no driver or it has no context yet (libtorch makes one with its first tensor there).</summary>
    public static unsafe Gpu? Current()
    {
        if (!NativeLibrary.TryLoad(Driver, out _)) return null;
        nuint free, total;
        int device;
        if (cuCtxGetDevice(&device) != 0 || cuMemGetInfo_v2(&free, &total) != 0) return null;
        var name = stackalloc byte[256];
        return cuDeviceGetName(name, 256, device) == 0
            ? new Gpu(Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(name)), (long)total, (long)free)
            : null;
    }

    /// <summary>Name and memory.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Name}, {MemoryBytes / 1e9:F1} GB memory, {FreeBytes / 1e9:F1} GB free");

    [DllImport(Driver), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern unsafe int cuCtxGetDevice(int* device);

    [DllImport(Driver), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern unsafe int cuMemGetInfo_v2(nuint* free, nuint* total);

    [DllImport(Driver), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern unsafe int cuDeviceGetName(byte* name, int length, int device);
}
