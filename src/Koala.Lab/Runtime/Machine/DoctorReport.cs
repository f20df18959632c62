using System.Globalization;
using System.Text;
using System.Text.Json.Serialization;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Runtime.Native;

namespace Koala.Lab.Runtime.Machine;

/// <summary>What doctor found. <see cref="ToString"/> is a table; as JSON see <see cref="JsonFormat.Document"/>.</summary>
public sealed record DoctorReport
{
    /// <summary>Koala's version.</summary>
    public required string Koala { get; init; }

    /// <summary>The machine.</summary>
    public required MachineInfo Machine { get; init; }

    /// <summary>The loaded libtorch; null if none could be loaded, which <see cref="Findings"/> then explain.</summary>
    public required LibTorchInfo? LibTorch { get; init; }

    /// <summary>The best device that answers: <c>cpu</c> or <c>cuda</c>.</summary>
    public required string Device { get; init; }

    /// <summary>GPUs that libtorch can use. Koala uses the first.</summary>
    public required int Gpus { get; init; }

    /// <summary>Whether steps can be captured as CUDA graphs; null without a GPU.</summary>
    public required bool? CudaGraphs { get; init; }

    /// <summary>16-bit float instruction sets of the CPU, by their Linux names.</summary>
    public required IReadOnlyList<string> HalfInstructions { get; init; }

    /// <summary>A step in fp32 against bf16 on the CPU; null without libtorch.</summary>
    public required StepTiming? Step { get; init; }

    /// <summary>Memory read, gigabytes (10⁹ bytes) a second; lower while other work runs on the machine. Null without libtorch.</summary>
    public required double? MemoryReadGBPerSecond { get; init; }

    /// <summary>Threads that torch uses in one operation; null without libtorch.</summary>
    public required int? Threads { get; init; }

    /// <summary>The environment variables that matter, with their values; null where not set.</summary>
    public required IReadOnlyDictionary<string, string?> Environment { get; init; }

    /// <summary>What is well, what is not, and how to fix it.</summary>
    public required IReadOnlyList<Finding> Findings { get; init; }

    /// <summary>A table of two columns, then the findings.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        Row("koala", Koala);
        Row(".NET", Machine.DotNet);
        Row("system", Machine.Os);
        Row("CPU", string.Create(CultureInfo.InvariantCulture, $"{Machine.Cpu}, {Machine.Cores} cores, {Machine.MemoryBytes / 1e9:F1} GB memory"));
        Row("16-bit floats", HalfInstructions.Count > 0 ? string.Join(", ", HalfInstructions) : "no instructions");
        Row("libtorch", LibTorch is null ? "not loaded" : $"{LibTorch.Version ?? "of unknown version"} from the {LibTorch.Origin} ({LibTorch.Folder ?? "its own loading"})");
        if (LibTorch is not null) Row("bindings", LibTorch.BindingsPatched ? "mended for this system's older libstdc++" : "as published");
        if (Machine.Gpu is { } gpu) Row("GPU", $"{gpu}{(Gpus > 1 ? $", the first of {Gpus}" : "")}");
        Row("device", Device);
        if (CudaGraphs is { } graphs) Row("CUDA graphs", graphs ? "yes" : "no");
        if (Threads is { } threads) Row("threads", threads.ToString(CultureInfo.InvariantCulture));
        if (Step is { } step) Row("step", string.Create(CultureInfo.InvariantCulture, $"fp32 {step.Fp32Ms:F2} ms, bf16 {step.Bf16Ms:F2} ms: {step.Fastest} is the faster"));
        if (MemoryReadGBPerSecond is { } bandwidth) Row("memory read", string.Create(CultureInfo.InvariantCulture, $"{bandwidth:F1} GB/s (best of several; other work on the machine lowers it)"));
        foreach (var (name, value) in Environment)
            if (value is not null) Row(name, value);
        foreach (var finding in Findings) text.AppendLine().Append(finding);
        return text.ToString();

        void Row(string name, string value) => text.Append(name.PadRight(22)).AppendLine(value);
    }
}

/// <summary>The loaded libtorch.</summary>
/// <param name="Version">Its version; null where its folder does not tell.</param>
/// <param name="BuiltFor">The version this build of Koala was made for.</param>
/// <param name="Folder">The folder it was loaded from; null where TorchSharp's own loading is used.</param>
/// <param name="Origin">Why that folder: see <see cref="LibTorch.Origin"/>.</param>
/// <param name="BindingsPatched">See <see cref="LibTorch.BindingsPatched"/>.</param>
public sealed record LibTorchInfo(string? Version, string BuiltFor, string? Folder, string Origin,
    [property: JsonPropertyName("bindingsMended")] bool BindingsPatched);

/// <summary>How grave a finding is.</summary>
public enum FindingLevel
{
    /// <summary>Nothing to do.</summary>
    Ok,

    /// <summary>Koala works, but not at its best.</summary>
    Warning,

    /// <summary>Koala cannot work.</summary>
    Error,
}

/// <summary>One thing that doctor found.</summary>
/// <param name="Level">How grave it is.</param>
/// <param name="What">What was found.</param>
/// <param name="Fix">What to do about it; null where nothing needs doing.</param>
public sealed record Finding(FindingLevel Level, string What, [property: JsonPropertyName("mend")] string? Fix = null)
{
    /// <summary>One line.</summary>
    public override string ToString()
    {
        var level = Level switch { FindingLevel.Ok => "ok", FindingLevel.Warning => "warning", _ => "error" };
        return $"{level,-9}{What}{(Fix is null ? "" : $". Fix: {Fix}")}.";
    }
}
