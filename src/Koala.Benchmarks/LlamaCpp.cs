using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Koala.Lab;
using LLama;
using LLama.Common;
using LLama.Native;

namespace Koala.Benchmarks;

/// <summary>A model in llama.cpp, which a user could run in place of Koala, with the same calls as a step of Koala's decoder.</summary>
/// <remarks>
/// The libraries are those of the package LLamaSharp.Backend.Cpu. Its widest build for x64 uses AVX-512, but not the instructions for bf16
/// and int8 (VNNI) that some processors have; llama.cpp built for such a processor may be faster.
/// </remarks>
internal sealed class LlamaCpp : IDisposable
{
    /// <summary>The program's name.</summary>
    public const string Program = "llama.cpp";

    /// <summary>The variable that names a folder of llama.cpp's libraries for this machine in place of the package's.</summary>
    private const string FolderVariable = "KOALA_LLAMACPP";

    private static readonly Lazy<string> s_build = new(LoadLibraries);
    private readonly LLamaWeights _weights;
    private readonly LLamaContext _context;
    private readonly LLamaBatch _batch = new();
    private readonly int _prefix;

    /// <param name="file">A GGUF file.</param>
    /// <param name="prefix">The number of tokens before a step.</param>
    /// <param name="capacity">The number of tokens that the cache holds.</param>
    /// <param name="threads">The threads.</param>
    public LlamaCpp(string file, int prefix, int capacity, int threads)
    {
        _ = s_build.Value;
        _prefix = prefix;
        var size = (uint)capacity;
        var parameters = new ModelParams(file)
        {
            ContextSize = size,
            BatchSize = size,
            UBatchSize = size,
            Threads = threads,
            BatchThreads = threads,
            GpuLayerCount = 0,
        };
        _weights = LLamaWeights.LoadFromFile(parameters);
        _context = _weights.CreateContext(parameters);
        Append([.. Enumerable.Range(0, prefix).Select(StepTimes.Token)], 0);
    }

    /// <summary>The build: the package's version and what llama.cpp says about itself.</summary>
    public static string Build => s_build.Value;

    /// <summary>Loads llama.cpp before libtorch, which comes with Koala.Lab.</summary>
    /// <remarks>
    /// Each then has an OpenMP of its own. Koala lets the threads of libtorch's sleep while they wait; llama.cpp's wait as they do by
    /// default.
    /// </remarks>
    [ModuleInitializer]
    internal static void LoadFirst()
    {
        if (Environment.GetCommandLineArgs() is [_, "steps", ..]) _ = Build;
    }

    /// <summary>Writes a GGUF file in another type.</summary>
    /// <param name="from">A GGUF file.</param>
    /// <param name="to">The new file.</param>
    /// <param name="type">The type of all matrices.</param>
    public static void Convert(string from, string to, LLamaFtype type)
    {
        _ = s_build.Value;
        var parameters = LLamaModelQuantizeParams.Default();
        parameters.nthread = Environment.ProcessorCount;
        parameters.allow_requantize = true;
        parameters.quantize_output_tensor = true;
        parameters.pure = true;
        parameters.ftype = type;
        if (NativeApi.llama_model_quantize(from, to, ref parameters) != 0)
            throw new KoalaException(from, $"is not converted to {type} by llama.cpp", "try another file");
    }

    /// <summary>Runs a step over tokens behind the prefix; every token's logits are computed.</summary>
    public void Step(int[] tokens)
    {
        _context.NativeHandle.MemorySequenceRemove(LLamaSeqId.Zero, (LLamaPos)_prefix, (LLamaPos)(-1));
        Append(tokens, _prefix);
        _ = _context.NativeHandle.GetLogitsIth(tokens.Length - 1);
    }

    public void Dispose()
    {
        _context.Dispose();
        _weights.Dispose();
    }

    private void Append(int[] tokens, int start)
    {
        _batch.Clear();
        for (var i = 0; i < tokens.Length; i++)
            _batch.Add((LLamaToken)tokens[i], (LLamaPos)(start + i), LLamaSeqId.Zero, logits: true);
        var result = _context.NativeHandle.Decode(_batch);
        if (result != DecodeResult.Ok) throw new InvalidOperationException($"llama.cpp's step ended with {result}");
    }

    private static string LoadLibraries()
    {
        NativeLibraryConfig.All.WithLogCallback((_, _) => { });
        NativeLibraryConfig.LLama.WithLibrary(Path.Combine(Folder(), "libllama.so"));
        NativeLibraryConfig.Mtmd.WithLibrary(Path.Combine(Folder(), "libmtmd.so"));
        var system = Marshal.PtrToStringAnsi(NativeApi.llama_print_system_info())?.Trim();
        return $"LLamaSharp {typeof(LLamaWeights).Assembly.GetName().Version?.ToString(3)}, {system}";
    }

    private static string Folder()
    {
        if (Environment.GetEnvironmentVariable(FolderVariable) is { } folder) return folder;
        var vectors = Vector512.IsHardwareAccelerated ? "avx512" : Vector256.IsHardwareAccelerated ? "avx2" : "noavx";
        return Path.Combine(PackageFolder, RuntimeInformation.RuntimeIdentifier, "native", vectors);
    }

    private static string PackageFolder =>
        typeof(LlamaCpp).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key == "LlamaCppLibraries").Value!;
}
