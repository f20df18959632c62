using static TorchSharp.torch;

namespace Koala.Lab.Runtime.Machine;

/// <summary>How fast this machine reads memory: the floor under every step, which reads all weights once.</summary>
internal static class MemoryBandwidth
{
    private const long SmallestBytes = 256L << 20;
    private const long LargestBytes = 1L << 30;

    /// <summary>Gigabytes (10⁹ bytes) a second: the best of repeated sums over a buffer larger than the caches, with torch's current threads.</summary>
    /// <remarks>Other work on the machine that lasts lowers it.</remarks>
    internal static double Read()
    {
        using var scope = NewDisposeScope();
        using var grad = no_grad();
        // A quarter of a small machine's memory at most: to look at it must not end it.
        var bytes = Math.Min(Math.Clamp(4 * LargestCache(), SmallestBytes, LargestBytes), MachineInfo.Current.MemoryBytes / 4);
        var buffer = ones(bytes / sizeof(float), ScalarType.Float32);
        var ms = InterleavedTiming.BestMs(rounds: 11, TimeSpan.FromSeconds(1), () => buffer.sum().Dispose())[0];
        return bytes / ms / 1e6;
    }

    private static long LargestCache()
    {
        const string Caches = "/sys/devices/system/cpu/cpu0/cache";
        if (!Directory.Exists(Caches)) return 0;
        return Directory.EnumerateDirectories(Caches, "index*")
            .Select(folder => Path.Combine(folder, "size"))
            .Where(File.Exists)
            .Select(file => File.ReadAllText(file).Trim())
            .Select(size => size.EndsWith('K') && long.TryParse(size[..^1], out var kibibytes) ? kibibytes << 10 : 0)
            .DefaultIfEmpty(0).Max();
    }
}
