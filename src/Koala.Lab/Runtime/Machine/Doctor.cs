using System.Reflection;
using System.Runtime.InteropServices;
using Koala.Lab.Runtime.Cuda;
using Koala.Lab.Runtime.Native;
using static TorchSharp.torch;

namespace Koala.Lab.Runtime.Machine;

/// <summary>Examines the machine and the software that Koala found on it.</summary>
public static class Doctor
{
    private const long LittleMemory = 2L << 30;

    /// <summary>Examines and measures, in under 5 seconds. If something is missing it reports a finding and does not throw.</summary>
    public static DoctorReport Examine() => Examine(LibTorch.EnsureLoaded);

    /// <param name="ensureLoaded">
    /// Throws a <see cref="KoalaException"/> that says why there is no libtorch; no torch function is then called.
    /// </param>
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
            VectorBits = CpuInfo.VectorBits,
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
            var missing = new Finding(FindingLevel.Error, $"{e.Where}: {e.Fault}", e.Fix);
            return report with { Findings = [missing, .. MachineFindings(report.Machine)] };
        }
        report = WithTorch(report);
        return report with { Findings = [.. TorchFindings(report), .. MachineFindings(report.Machine)] };
    }

    // This is a separate method, so that the runtime does not even compile calls of torch if libtorch is missing.
    private static DoctorReport WithTorch(DoctorReport report)
    {
        var hasGpu = cuda.is_available();
        return report with
        {
            LibTorch = new LibTorchInfo(
                LibTorchVersion.Loaded, LibTorch.Version, LibTorch.Folder, LibTorch.Origin, LibTorch.BindingsPatched),
            Device = hasGpu ? "cuda" : "cpu",
            Gpus = hasGpu ? cuda.device_count() : 0,
            CudaGraphs = hasGpu ? CudaGraph.Supported(CUDA) : null,
            Kernels = !hasGpu ? null : CudaProgram.Missing is { } missing ? $"plain, as {missing}" : $"NVRTC {Nvrtc.Found!.Version}",
            Threads = get_num_threads(),
            MemoryReadGBPerSecond = MemoryBandwidth.Read(),
        };
    }

    private static IEnumerable<Finding> TorchFindings(DoctorReport report)
    {
        var libtorch = report.LibTorch!;
        if (libtorch.Version is { } version && !SameMinor(version, libtorch.BuiltFor))
            yield return new Finding(FindingLevel.Warning,
                $"libtorch is {version}, but this Koala was built for {libtorch.BuiltFor}",
                $"if a call fails, name a libtorch {libtorch.BuiltFor} in {LibTorch.FolderVariable}");
        else
            yield return new Finding(FindingLevel.Ok, $"libtorch {libtorch.BuiltFor} works");

        if (LibTorch.HasCuda && report.Gpus == 0)
            yield return new Finding(FindingLevel.Warning,
                "this libtorch has CUDA, but no CUDA device answers", "check the driver with nvidia-smi");
        if (report.CudaGraphs == false)
            yield return new Finding(FindingLevel.Warning,
                "this libtorch exports no CUDA graphs: each operation of a step is launched separately on the GPU, which is slower",
                $"name a libtorch {libtorch.BuiltFor} or its PyTorch in {LibTorch.FolderVariable}");

        if (report.Kernels is not null && CudaProgram.Missing is { } reason)
            yield return new Finding(FindingLevel.Warning,
                $"steps on the GPU run on libtorch's kernels, which are slower than Koala's own, as {reason}",
                "install a PyTorch with CUDA, whose packages include NVRTC, or the CUDA toolkit");

        if (report.Threads > report.Machine.Cores)
            yield return new Finding(FindingLevel.Warning,
                $"torch uses {report.Threads} threads on {report.Machine.Cores} cores", "unset OMP_NUM_THREADS, or choose fewer threads");
    }

    private static IEnumerable<Finding> MachineFindings(MachineInfo machine)
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64)
            yield return new Finding(FindingLevel.Warning, "Koala is tested on Linux x64 only", "use Linux x64 if something fails");
        if (machine.MemoryBytes < LittleMemory)
            yield return new Finding(FindingLevel.Warning,
                $"Koala may use only {machine.MemoryBytes >> 20} MiB of memory", "free memory or raise the container's limit");
    }

    private static string KoalaVersion() =>
        typeof(Doctor).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];

    private static bool SameMinor(string left, string right) =>
        left.Split('.', '+').Take(2).SequenceEqual(right.Split('.', '+').Take(2));
}
