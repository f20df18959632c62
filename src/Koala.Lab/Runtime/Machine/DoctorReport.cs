using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json.Serialization;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Runtime.Native;

namespace Koala.Lab.Runtime.Machine;

/// <summary>What doctor found. <see cref="ToString"/> returns a table; <see cref="JsonFormat.Document"/> writes it as JSON.</summary>
[TypeFormatterSource]
public sealed record DoctorReport
{
    /// <summary>Koala's version.</summary>
    public required string Koala { get; init; }

    /// <summary>The machine.</summary>
    public required MachineInfo Machine { get; init; }

    /// <summary>The loaded libtorch; null if none could be loaded, and then <see cref="Findings"/> says why.</summary>
    public required LibTorchInfo? LibTorch { get; init; }

    /// <summary>The best device that answers: <c>cpu</c> or <c>cuda</c>.</summary>
    public required string Device { get; init; }

    /// <summary>The number of GPUs that libtorch can use. Koala uses the first.</summary>
    public required int Gpus { get; init; }

    /// <summary>Whether steps can be captured as CUDA graphs; null if there is no GPU.</summary>
    public required bool? CudaGraphs { get; init; }

    /// <summary>
    /// What steps on the GPU are computed with: the compiler of Koala's own kernels, or why there are none. Null if there is no GPU, and
    /// in reports that are older than this field.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Kernels { get; init; }

    /// <summary>The CPU's instruction sets for 16-bit floats, by their Linux names.</summary>
    public required IReadOnlyList<string> HalfInstructions { get; init; }

    /// <summary>
    /// The width of the vectors that steps on the CPU compute with, in bits: 512 (AVX-512), 256 (AVX2) or 128. Null in reports of versions
    /// whose steps were libtorch's.
    /// </summary>
    public int? VectorBits { get; init; }

    /// <summary>
    /// Gigabytes (10⁹ bytes) per second that the machine reads from memory; fewer while other work runs on it. Null if libtorch is
    /// not loaded.
    /// </summary>
    public required double? MemoryReadGBPerSecond { get; init; }

    /// <summary>The number of threads that torch uses in one operation; null if libtorch is not loaded.</summary>
    public required int? Threads { get; init; }

    /// <summary>The environment variables that matter, with their values; the value is null where a variable is not set.</summary>
    public required IReadOnlyDictionary<string, string?> Environment { get; init; }

    /// <summary>What works, what does not, and how to fix it.</summary>
    public required IReadOnlyList<Finding> Findings { get; init; }

    /// <summary>Returns a table of two columns, followed by the findings.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        Row("koala", Koala);
        Row(".NET", Machine.DotNet);
        Row("system", Machine.Os);
        Row("CPU", Invariant($"{Machine.Cpu}, {Machine.Cores} cores, {Machine.MemoryBytes / 1e9:F1} GB memory"));
        Row("16-bit floats", HalfInstructions.Count > 0 ? string.Join(", ", HalfInstructions) : "no instructions");
        Row("libtorch", LibTorch?.ToString() ?? "not loaded");
        if (LibTorch is not null) Row("bindings", LibTorch.BindingsPatched ? "patched for this system's older libstdc++" : "as published");
        if (Machine.Gpu is { } gpu) Row("GPU", $"{gpu}{(Gpus > 1 ? $", the first of {Gpus}" : "")}");
        Row("device", Device);
        if (CudaGraphs is { } graphs) Row("CUDA graphs", graphs ? "yes" : "no");
        if (Kernels is { } kernels) Row("kernels", kernels);
        if (Threads is { } threads) Row("threads", threads.ToString(CultureInfo.InvariantCulture));
        if (VectorBits is { } bits) Row("vectors", Invariant($"{bits} bits"));
        if (MemoryReadGBPerSecond is { } bandwidth)
            Row("memory read", Invariant($"{bandwidth:F1} GB/s (best of several; other work on the machine lowers it)"));
        foreach (var (name, value) in Environment)
            if (value is not null) Row(name, value);
        foreach (var finding in Findings) text.AppendLine().Append(finding);
        return text.ToString();

        void Row(string name, string value) => text.Append(name.PadRight(22)).AppendLine(value);

        static string Invariant(DefaultInterpolatedStringHandler value) => string.Create(CultureInfo.InvariantCulture, ref value);
    }
}

/// <summary>The loaded libtorch.</summary>
/// <param name="Version">Its version; null if its folder does not contain the version.</param>
/// <param name="BuiltFor">The version that this build of Koala was made for.</param>
/// <param name="Folder">The folder it was loaded from; null if TorchSharp loaded it.</param>
/// <param name="Origin">Why it was loaded from that folder: see <see cref="LibTorch.Origin"/>.</param>
/// <param name="BindingsPatched">Whether the bindings were patched: see <see cref="LibTorch.BindingsPatched"/>.</param>
public sealed record LibTorchInfo(
    string? Version, string BuiltFor, string? Folder, string Origin,
    [property: JsonPropertyName("bindingsMended")] bool BindingsPatched)
{
    /// <summary>Returns one line: the version and where it was loaded from.</summary>
    public override string ToString() =>
        $"{Version ?? "unknown version"}, {Origin}{(Folder is null ? "" : $" ({Folder})")}";
}

/// <summary>How severe a finding is.</summary>
public enum FindingLevel
{
    /// <summary>Nothing needs to be done.</summary>
    Ok,

    /// <summary>Koala works, but not at its best.</summary>
    Warning,

    /// <summary>Koala cannot work.</summary>
    Error,
}

/// <summary>One thing that doctor found.</summary>
/// <param name="Level">How severe it is.</param>
/// <param name="What">What was found.</param>
/// <param name="Fix">What the user should do about it; null if nothing needs to be done.</param>
public sealed record Finding(FindingLevel Level, string What, [property: JsonPropertyName("mend")] string? Fix = null)
{
    /// <summary>Returns one line.</summary>
    public override string ToString()
    {
        var level = Level switch { FindingLevel.Ok => "ok", FindingLevel.Warning => "warning", _ => "error" };
        return $"{level,-9}{What}{(Fix is null ? "" : $". Fix: {Fix}")}.";
    }
}
