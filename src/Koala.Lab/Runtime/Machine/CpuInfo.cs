using System.Runtime.Intrinsics;

namespace Koala.Lab.Runtime.Machine;

/// <summary>What /proc/cpuinfo says about the first core.</summary>
/// <param name="Name">The name of the CPU's model.</param>
/// <param name="HalfInstructions">
/// The CPU's instruction sets for 16-bit floats, by their Linux names: avx512_bf16, amx_bf16, avx_ne_convert, avx512_fp16, amx_fp16,
/// f16c.
/// </param>
internal sealed record CpuInfo(string Name, IReadOnlyList<string> HalfInstructions)
{
    private static readonly string[] s_half = ["avx512_bf16", "amx_bf16", "avx_ne_convert", "avx512_fp16", "amx_fp16", "f16c"];

    internal static CpuInfo Current { get; } =
        Parse(File.Exists("/proc/cpuinfo") ? File.ReadAllText("/proc/cpuinfo") : "");

    /// <summary>The width of the vectors that .NET uses on this CPU, in bits.</summary>
    internal static int VectorBits => Vector512.IsHardwareAccelerated ? 512 : Vector256.IsHardwareAccelerated ? 256 : 128;

    internal static CpuInfo Parse(string text)
    {
        var flags = Value(text, "flags").Split(' ').ToHashSet();
        var name = Value(text, "model name");
        return new CpuInfo(name.Length > 0 ? name : "unknown", [.. s_half.Where(flags.Contains)]);
    }

    private static string Value(string text, string key) => text.Split('\n')
        .Select(line => line.Split(':', 2))
        .FirstOrDefault(parts => parts.Length == 2 && parts[0].Trim() == key)?[1].Trim() ?? "";
}
