using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Koala.Lab.Runtime.Cuda;

/// <summary>The first GPU, as the CUDA driver describes it: TorchSharp gives neither its name nor its memory.</summary>
/// <param name="Name">The manufacturer's name of the GPU.</param>
/// <param name="MemoryBytes">The size of its memory in bytes.</param>
public sealed record Gpu(string Name, long MemoryBytes)
{
    private const string Driver = "libcuda.so.1";

    /// <summary>The first GPU of this machine that CUDA_VISIBLE_DEVICES allows; null if there is no driver or no GPU.</summary>
    public static Gpu? Current { get; } = Query();

    /// <summary>
    /// Returns the bytes of the GPU's memory that are in use now, by this process (libtorch's reserve included) and by others; null if
    /// libtorch does not use a GPU on this thread yet.
    /// </summary>
    public static unsafe long? UsedBytes()
    {
        nuint free, total;
        return Current is not null && cuMemGetInfo_v2(&free, &total) == 0 ? (long)(total - free) : null;
    }

    /// <summary>Returns the name and the size of the memory.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Name}, {MemoryBytes / 1e9:F1} GB memory");

    private static unsafe Gpu? Query()
    {
        if (!OperatingSystem.IsLinux() || !NativeLibrary.TryLoad(Driver, out _)) return null;
        int device;
        nuint bytes;
        var name = stackalloc byte[256];
        if (cuInit(0) != 0 || cuDeviceGet(&device, 0) != 0) return null;
        if (cuDeviceGetName(name, 256, device) != 0 || cuDeviceTotalMem_v2(&bytes, device) != 0) return null;
        return new Gpu(Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(name)), (long)bytes);
    }

    [DllImport(Driver), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int cuInit(uint flags);

    [DllImport(Driver), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern unsafe int cuDeviceGet(int* device, int number);

    [DllImport(Driver), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern unsafe int cuDeviceGetName(byte* name, int length, int device);

    [DllImport(Driver), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern unsafe int cuMemGetInfo_v2(nuint* free, nuint* total);

    [DllImport(Driver), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern unsafe int cuDeviceTotalMem_v2(nuint* bytes, int device);
}
