using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Runtime.Machine;

/// <summary>
/// How fast this machine reads memory. A step reads all weights once, so this bounds the time of a step from below.
/// </summary>
internal static class MemoryBandwidth
{
    private const long SmallestBytes = 256L << 20;
    private const long LargestBytes = 1L << 30;
    private const long GpuBytes = 512L << 20;       // several times the caches of present GPUs

    /// <summary>
    /// Measures gigabytes (10⁹ bytes) per second: the best of repeated sums over a buffer larger than the caches, with torch's
    /// current number of threads.
    /// </summary>
    /// <remarks>Lasting other work on the machine lowers the result.</remarks>
    internal static double Read()
    {
        using var scope = NewDisposeScope();
        using var grad = no_grad();
        // The buffer takes at most a quarter of the memory: the measurement must not exhaust a small machine.
        var bytes = Math.Min(Math.Clamp(4 * LargestCache(), SmallestBytes, LargestBytes), MachineInfo.Current.MemoryBytes / 4);
        var buffer = ones(bytes / sizeof(float), ScalarType.Float32);
        var ms = InterleavedTiming.BestMs(rounds: 11, TimeSpan.FromSeconds(1), () => buffer.sum().Dispose())[0];
        return bytes / ms / 1e6;
    }

    /// <summary>The same on a GPU, where it is the speed of a copy, whose bytes count twice: they are read and written.</summary>
    internal static double Read(Device device)
    {
        if (device.type != DeviceType.CUDA) return Read();
        using var scope = NewDisposeScope();
        using var grad = no_grad();
        var from = ones(GpuBytes / sizeof(float), ScalarType.Float32, device);
        var to = empty_like(from);
        var ms = InterleavedTiming.BestMs(rounds: 11, TimeSpan.FromSeconds(1), () =>
        {
            to.copy_(from);
            cuda.synchronize();
        })[0];
        return 2 * GpuBytes / ms / 1e6;
    }

    private static long LargestCache()
    {
        const string Caches = "/sys/devices/system/cpu/cpu0/cache";
        if (!Directory.Exists(Caches)) return 0;
        var files = Directory.EnumerateDirectories(Caches, "index*").Select(folder => Path.Combine(folder, "size"));
        return files.Where(File.Exists).Select(CacheBytes).DefaultIfEmpty(0).Max();
    }

    private static long CacheBytes(string file)
    {
        var size = File.ReadAllText(file).Trim();
        return size.EndsWith('K') && long.TryParse(size[..^1], out var kibibytes) ? kibibytes << 10 : 0;
    }
}
