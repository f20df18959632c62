using System.Reflection;
using System.Runtime.InteropServices;
using Koala.Lab.Runtime.Cuda;
using Koala.Lab.Runtime.Native;
using static TorchSharp.torch;

namespace Koala.Lab.Runtime.Machine;

/// <summary>Looks at the machine and at what Koala found on it.</summary>
public static class Doctor
{
    private const long LittleMemory = 2L << 30;

    /// <summary>Examines and measures, in under 5 seconds. Nothing that is missing throws: it becomes a finding.</summary>
    public static DoctorReport Examine() => Examine(LibTorch.EnsureLoaded);

    /// <param name="ensureLoaded">Throws the <see cref="KoalaException"/> that says why there is no libtorch; then no torch call is made.</param>
    internal static DoctorReport Examine(Action ensureLoaded)
    {
        var report = new DoctorReport
        {
            Koala = KoalaVersion(),
            Machine = MachineInfo.Current,
            LibTorch = null,
            Device = "cpu",
            Gpus = 0,
            CudaGraphs = null,
            HalfInstructions = CpuInfo.Current.HalfInstructions,
            Step = null,
            MemoryReadGBPerSecond = null,
            Threads = null,
            Environment = EnvironmentVariables.Read(),
            Findings = [],
        };
        try
        {
            ensureLoaded();
        }
        catch (KoalaException e)
        {
            return report with { Findings = [new Finding(FindingLevel.Error, $"{e.Where}: {e.Fault}", e.Fix), .. OfMachine(report.Machine)] };
        }
        report = WithTorch(report);
        return report with { Findings = [.. OfTorch(report), .. OfMachine(report.Machine)] };
    }

    // A method of its own, so that nothing of torch is even prepared where libtorch is missing.
    private static DoctorReport WithTorch(DoctorReport report)
    {
        var hasGpu = cuda.is_available();
        return report with
        {
            LibTorch = new LibTorchInfo(LibTorchVersion.Loaded, LibTorch.Version, LibTorch.Folder, LibTorch.Origin, LibTorch.BindingsPatched),
            Device = hasGpu ? "cuda" : "cpu",
            Gpus = hasGpu ? cuda.device_count() : 0,
            CudaGraphs = hasGpu ? CudaGraph.Supported(CUDA) : null,
            Threads = get_num_threads(),
            Step = FastestDtype.OnCpu,
            MemoryReadGBPerSecond = MemoryBandwidth.Read(),
        };
    }

    private static IEnumerable<Finding> OfTorch(DoctorReport report)
    {
        var libtorch = report.LibTorch!;
        if (libtorch.Version is { } version && !SameMinor(version, libtorch.BuiltFor))
            yield return new Finding(FindingLevel.Warning, $"libtorch is {version}, but this Koala was built for {libtorch.BuiltFor}",
                $"if a call fails, name a libtorch {libtorch.BuiltFor} in {LibTorch.FolderVariable}");
        else
            yield return new Finding(FindingLevel.Ok, $"libtorch {libtorch.BuiltFor} works");

        if (LibTorch.HasCuda && report.Gpus == 0)
            yield return new Finding(FindingLevel.Warning, "this libtorch has CUDA, but no CUDA device answers", "check the driver with nvidia-smi");
        if (report.CudaGraphs == false)
            yield return new Finding(FindingLevel.Warning, "this libtorch exports no CUDA graphs: steps on the GPU are launched piece by piece, which is slower",
                $"name a libtorch {libtorch.BuiltFor} or its PyTorch in {LibTorch.FolderVariable}");

        if (report.Threads > report.Machine.Cores)
            yield return new Finding(FindingLevel.Warning, $"torch uses {report.Threads} threads on {report.Machine.Cores} cores",
                "unset OMP_NUM_THREADS, or choose fewer threads");

        yield return report.Step!.Fastest == "bf16"
            ? new Finding(FindingLevel.Ok, "bf16 is the faster on this CPU: evaluate uses it unless told otherwise")
            : new Finding(FindingLevel.Ok, "fp32 is the faster on this CPU: bf16 would cost time here"
                + (CpuInfo.Current.HasBf16 ? "" : ", for it has no bf16 instructions"));
    }

    private static IEnumerable<Finding> OfMachine(MachineInfo machine)
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64)
            yield return new Finding(FindingLevel.Warning, "Koala is tested on Linux x64 only", "use Linux x64 if something fails");
        if (machine.MemoryBytes < LittleMemory)
            yield return new Finding(FindingLevel.Warning, $"only {machine.MemoryBytes >> 20} MiB of memory may be used", "free memory or raise the container's limit");
    }

    private static string KoalaVersion() =>
        typeof(Doctor).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];

    private static bool SameMinor(string left, string right) => left.Split('.', '+').Take(2).SequenceEqual(right.Split('.', '+').Take(2));
}
