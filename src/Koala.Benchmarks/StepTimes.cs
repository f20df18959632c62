using System.Globalization;
using System.Text.Json;
using Koala.Lab.Checkpoints;
using Koala.Lab.Checkpoints.Gguf;
using Koala.Lab.Runs;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Runtime.Machine;
using LLama.Native;
using static TorchSharp.torch;

namespace Koala.Benchmarks;

/// <summary>
/// The times of a target's step on a CPU by the number of tokens in it, in Koala and in llama.cpp, measured in turns in one process. All
/// times are medians in milliseconds.
/// </summary>
public sealed record StepTimes
{
    /// <summary>The tokens in the cache before a step.</summary>
    public const int Prefix = 100;

    /// <summary>The tokens that a cache holds.</summary>
    public const int Capacity = 512;

    private const int RunsPerTurn = 10;
    private const int WarmupsPerTurn = 5;
    private const int FewestTurns = 3;
    private const int Short = 16;   // longer steps are run less often per turn
    private static readonly int[] s_counts = [1, 2, 4, 8, 12, 16, 32, 256];

    public required IReadOnlyList<string> Command { get; init; }
    public required DateTimeOffset Measured { get; init; }
    public required GitCommit? Commit { get; init; }
    public required MachineInfo Machine { get; init; }

    /// <summary>The bits of the machine's vectors that Koala uses.</summary>
    public required int VectorBits { get; init; }

    /// <summary>How busy the machine was with other work.</summary>
    public required MachineLoad Load { get; init; }

    public required string Target { get; init; }
    public required int Threads { get; init; }

    /// <summary>The build of llama.cpp.</summary>
    public required string LlamaCpp { get; init; }

    /// <summary>The read bandwidth with all threads in GB/s, measured between the steps of the same run.</summary>
    public required double ReadGigabytesPerSecond { get; init; }

    public required IReadOnlyList<ProgramSteps> Programs { get; init; }

    /// <summary>The steps of one program over weights of one type.</summary>
    /// <param name="Program">Koala or llama.cpp.</param>
    /// <param name="Weights">The type of the weights; <c>stored</c> means that of the target's files.</param>
    /// <param name="WeightBytes">The bytes of all weights.</param>
    /// <param name="ReadOnceMs">The time of reading the weights once at the measured bandwidth.</param>
    /// <param name="Counts">The steps, by the number of their tokens.</param>
    public sealed record ProgramSteps(
        string Program, string Weights, long WeightBytes, double ReadOnceMs, IReadOnlyList<Step> Counts);

    /// <summary>A step over a number of tokens.</summary>
    /// <param name="Tokens">The number of tokens in the step.</param>
    /// <param name="Ms">The whole step, with the logits of all tokens; Koala's also with the best tokens.</param>
    /// <param name="LowMs">The first quartile of the whole step.</param>
    /// <param name="HighMs">The third quartile of the whole step.</param>
    /// <param name="ProductsMs">The step's matrix products alone, LM head included; null for llama.cpp.</param>
    public sealed record Step(int Tokens, double Ms, double LowMs, double HighMs, double? ProductsMs);

    /// <summary>The token at a place of the prefix or the step.</summary>
    public static int Token(int place) => 200 + place;

    /// <summary>Measures the steps.</summary>
    /// <param name="target">The folder of a Llama model, or a GGUF file.</param>
    /// <param name="repeats">The number of runs of a step of up to 16 tokens; longer steps are run less often.</param>
    /// <param name="threads">The threads of both programs; null means Koala's own choice.</param>
    /// <param name="command">The command's words.</param>
    public static StepTimes Measure(string target, int repeats, int? threads, IReadOnlyList<string> command)
    {
        if (threads is { } given) set_num_threads(given);
        using var _ = no_grad();
        var folder = Directory.CreateTempSubdirectory("koala-steps-");
        var programs = new List<StepProgram>();
        try
        {
            programs.AddRange(Open(target, folder.FullName));
            // .NET compiles what runs often a second time, in the background.
            foreach (var program in programs) program.WarmUp([.. Enumerable.Range(Prefix, 2).Select(Token)], TimeSpan.FromSeconds(1));
            var start = ProcessorTimes.Read();
            var bandwidths = new List<double>();
            foreach (var count in s_counts)
            {
                bandwidths.Add(MemoryBandwidth.Read());
                int[] tokens = [.. Enumerable.Range(Prefix, count).Select(Token)];
                var turns = Math.Max(FewestTurns, repeats / RunsPerTurn);
                int PerTurn(int runs) => Math.Max(1, runs * Math.Min(count, Short) / count);
                // The programs alternate, so that other work on the machine affects all of them.
                for (var turn = 0; turn < turns; turn++)
                    foreach (var program in programs) program.Run(tokens, PerTurn(WarmupsPerTurn), PerTurn(RunsPerTurn));
            }
            var bandwidth = Quartile(bandwidths, 2);
            return new StepTimes
            {
                Command = command,
                Measured = DateTimeOffset.UtcNow,
                Commit = GitCommit.OfKoala,
                Machine = MachineInfo.Current,
                VectorBits = CpuInfo.VectorBits,
                Load = MachineLoad.Between(start, ProcessorTimes.Read()),
                Target = ModelLocation.Find(target).Name,
                Threads = get_num_threads(),
                LlamaCpp = Benchmarks.LlamaCpp.Build,
                ReadGigabytesPerSecond = bandwidth,
                Programs = [.. programs.Select(program => program.Result(bandwidth))],
            };
        }
        finally
        {
            foreach (var program in programs) program.Dispose();
            folder.Delete(recursive: true);
        }
    }

    public void Save(string file) => AtomicFile.WriteText(file, JsonSerializer.Serialize(this, JsonFormat.Document) + "\n");

    /// <summary>The steps of a program; null if it was not measured.</summary>
    public ProgramSteps? Find(string program, string weights) =>
        Programs.SingleOrDefault(p => p.Program == program && p.Weights == weights);

    /// <summary>A table for the terminal.</summary>
    public override string ToString()
    {
        var lines = Programs.Select(p => string.Create(CultureInfo.InvariantCulture,
            $"{p.Program + " " + p.Weights,-18}{p.WeightBytes / 1e6,7:F1} MB, once {p.ReadOnceMs,6:F2} |")
            + string.Concat(p.Counts.Select(s => string.Create(CultureInfo.InvariantCulture, $"{s.Ms,9:F2}"))));
        var products = Programs.Where(p => p.Program == StepProgram.Koala).Select(p => $"  products {p.Weights,-26} |"
            + string.Concat(p.Counts.Select(s => string.Create(CultureInfo.InvariantCulture, $"{s.ProductsMs,9:F2}"))));
        return string.Create(CultureInfo.InvariantCulture,
            $"{Target}, {Threads} threads, {VectorBits} bits, reading {ReadGigabytesPerSecond:F1} GB/s, "
            + $"other work {Load.OtherCores:F2} cores\n")
            + $"{"",37}|{string.Concat(s_counts.Select(count => $"{count,9}"))}\n" + string.Join('\n', lines.Concat(products));
    }

    internal static double Quartile(List<double> values, int quartile)
    {
        values.Sort();
        return values[Math.Min(values.Count - 1, values.Count * quartile / 4)];
    }

    private static IEnumerable<StepProgram> Open(string target, string folder)
    {
        string Path(string name) => System.IO.Path.Combine(folder, name + ".gguf");
        string file;
        using (var files = ModelFiles.Open(target))
        {
            var isGguf = files.Tensors is GgufFile;
            file = isGguf ? ModelLocation.Find(target).Path : Path("fp32");
            if (!isGguf) GgufExport.Write(files, file);
            yield return new KoalaSteps("stored", target, null);
            if (isGguf)
            {
                Benchmarks.LlamaCpp.Convert(file, Path("fp32"), LLamaFtype.ALL_F32);
                yield return new KoalaSteps("bf16", target, "bf16");
                yield return new KoalaSteps("fp32", Path("fp32"), null);
                yield return new LlamaCppSteps("stored", file);
            }
        }
        Benchmarks.LlamaCpp.Convert(file, Path("bf16"), LLamaFtype.MOSTLY_BF16);
        Benchmarks.LlamaCpp.Convert(file, Path("q8_0"), LLamaFtype.MOSTLY_Q8_0);
        foreach (var type in (string[])["bf16", "fp32", "q8_0"]) yield return new LlamaCppSteps(type, Path(type));
    }
}
