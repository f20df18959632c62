using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Runtime.Native;
using static TorchSharp.torch;

namespace Koala.Lab.Runtime.Cuda;

/// <summary>Kernels of our own on the GPU: compiled when they are first needed, and kept on disk for the next process.</summary>
/// <remarks>
/// The file's name is the hash of all that the machine code depends on: the source, its macros, the architecture and the compiler. The
/// kernels are launched on torch's current stream, so that launches run in order with torch's operations and are captured with them.
/// </remarks>
internal sealed unsafe class CudaProgram
{
    // bf16 tensor cores came with this architecture.
    private const int FirstArchitecture = 80;

    // Launches overlap since this one.
    private const int OverlappingArchitecture = 90;

    private static readonly Lazy<CudaGraphFunctions?> s_functions = new(CudaGraphFunctions.Find);

    private static readonly IntPtr s_dataAddress = LibTorch.BindingsFunction("THSTensor_data");

    private readonly IntPtr _module;

    private CudaProgram(IntPtr module, int architecture)
    {
        _module = module;
        Overlaps = architecture >= OverlappingArchitecture;
        Multiprocessors = CudaDriver.DeviceAttribute(CudaDriver.Multiprocessors);
        CanCooperate = CudaDriver.DeviceAttribute(CudaDriver.CooperativeLaunch) != 0;
    }

    /// <summary>Whether a launch can begin while the one before it runs.</summary>
    public bool Overlaps { get; }

    /// <summary>Whether the blocks of a launch can wait for each other.</summary>
    public bool CanCooperate { get; }

    /// <summary>The number of multiprocessors: so many blocks run at the same time, however large they are.</summary>
    public int Multiprocessors { get; }

    /// <summary>
    /// Why kernels cannot be compiled or launched here, as the rest of a sentence; null if they can. Nothing is compiled for the answer.
    /// </summary>
    public static string? Missing
    {
        get
        {
            if (Gpu.Current is null) return "there is no GPU";
            if (s_functions.Value is null || s_dataAddress == 0) return "this libtorch does not export its streams";
            if (Nvrtc.Found is null) return "there is no NVRTC of version 12 or later (libnvrtc.so)";
            return Architecture < FirstArchitecture ? $"the GPU's architecture is {Architecture}, below {FirstArchitecture}" : null;
        }
    }

    /// <summary>Loads kernels from disk, or compiles them.</summary>
    /// <param name="name">The name of the source in messages and of the files.</param>
    /// <param name="source">The source.</param>
    /// <param name="variants">The macros of each variant of the source that is wanted.</param>
    /// <returns>
    /// The variants; null if kernels cannot run here (<see cref="Missing"/>), if the compiler is older than the GPU, or if the driver is
    /// older than the compiler.
    /// </returns>
    public static IReadOnlyList<CudaProgram>? Load(
        string name, string source, IReadOnlyList<IReadOnlyList<(string Name, string Value)>> variants)
    {
        if (Missing is not null) return null;
        var codes = new byte[]?[variants.Count];
        Parallel.For(0, codes.Length, i => codes[i] = Code(name, source, variants[i]));
        // Only this thread has the context that torch uses.
        var modules = codes.Select(code => code is null ? null : CudaDriver.LoadModule(code)).ToArray();
        return modules.Contains(null) ? null : [.. modules.Select(module => new CudaProgram(module!.Value, Architecture))];
    }

    /// <summary>The address of a tensor's first number on the device.</summary>
    public static IntPtr Address(Tensor tensor)
    {
        var address = ((delegate* unmanaged<IntPtr, IntPtr>)s_dataAddress)(tensor.Handle);
        GC.KeepAlive(tensor);
        return address;
    }

    /// <summary>A kernel that a launch gives so much shared memory, or less.</summary>
    public Kernel Find(string name, int sharedBytes) => new(CudaDriver.Function(_module, name, sharedBytes), sharedBytes);

    /// <summary>Launches a kernel on torch's current stream.</summary>
    /// <param name="kernel">The kernel.</param>
    /// <param name="blocks">The number of blocks.</param>
    /// <param name="threads">The number of threads of a block.</param>
    /// <param name="kind">How it stands to other work.</param>
    /// <param name="arguments">The addresses of the kernel's arguments.</param>
    public static void Launch(Kernel kernel, int blocks, int threads, LaunchKind kind, void** arguments)
    {
        var functions = s_functions.Value!;
        var stream = functions.CurrentStream(-1);
        CudaDriver.Launch(kernel.Function, blocks, threads, kernel.SharedBytes, functions.RawStream(&stream), kind, arguments);
    }

    // The machine code of a variant; null if the compiler is older than the GPU.
    private static byte[]? Code(string name, string source, IReadOnlyList<(string Name, string Value)> macros)
    {
        var nvrtc = Nvrtc.Found!;
        string[] options =
        [
            string.Create(CultureInfo.InvariantCulture, $"--gpu-architecture=sm_{Architecture}"),
            "--std=c++17",
            // Lambdas without a word run on the device, as everything here does.
            "-default-device",
            // Else the compiler fuses multiplications with additions in one variant of a kernel and not in another.
            "--fmad=false",
            .. macros.Select(macro => $"-D{macro.Name}={macro.Value}"),
        ];
        var inputs = string.Join('\n', [nvrtc.Version.ToString(), .. options, source]);
        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(inputs)))[..32];
        var file = $"{Path.GetFileNameWithoutExtension(name)}-{hash}.cubin";
        return CacheFolder.Keep(() => CacheFolder.Path, file, () => nvrtc.Compile(source, name, options));
    }

    private static int Architecture { get; } = Gpu.Current is null ? 0
        : CudaDriver.DeviceAttribute(CudaDriver.ArchitectureMajor) * 10 + CudaDriver.DeviceAttribute(CudaDriver.ArchitectureMajor + 1);

    /// <param name="Function">The driver's handle.</param>
    /// <param name="SharedBytes">The shared memory of a block in bytes.</param>
    public readonly record struct Kernel(IntPtr Function, int SharedBytes);
}
