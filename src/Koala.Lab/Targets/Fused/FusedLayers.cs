using System.Globalization;
using Koala.Lab.Checkpoints;
using Koala.Lab.Runtime.Cuda;
using Koala.Lab.Runtime.Files;
using TorchSharp;
using static TorchSharp.torch;
using Macro = (string Name, string Value);

namespace Koala.Lab.Targets.Fused;

/// <summary>
/// Decoder layers in kernels of our own (Decoder.cu), for a target or for an EAGLE head: the compiled kernels, the workspace of a step,
/// and their launches.
/// </summary>
/// <remarks>
/// N rows, D width. A row's numbers depend neither on the other rows of a step nor on their number: a step over several tokens gives each
/// of them the bits that a step over one token gives. All steps share one workspace, so they run in order.
/// </remarks>
internal sealed unsafe class FusedLayers : IDisposable
{
    /// <summary>The most rows of a launch.</summary>
    public const int MostRows = 64;

    private const int GroupThreads = 256;       // GROUP_WARPS of Decoder.cu
    private const int PersistentGroups = 2;     // a block's groups in the persistent form
    private const int Parts = 16;               // PARTS of Decoder.cu
    private const int PointersPerLayer = 9;     // of struct Layer

    private static readonly string[] s_pointers =
        ["input_norm", "qkv", "o", "post_norm", "gate_up", "down", "qkv_bias", "q_norm", "k_norm"];

    // The numbers of 8 rows that a product computes at once, for each of the sizes.
    private static readonly int[] s_tiles = [1, 2, 4];

    private readonly ModelConfig _config;
    private readonly LayerInput _input;
    private readonly Device _device;
    private readonly CudaProgram _program;
    private readonly Variant[] _variants;       // for each size
    private readonly Tensor _layers;            // [layers,PointersPerLayer], addresses
    private readonly Tensor _frequencies;       // [headDim/2]
    private readonly List<Tensor> _workspace = [];
    private readonly StepArguments _arguments;

    private FusedLayers(
        ModelConfig config, LayerInput input, Func<int, string, Tensor?> weight, Device device, IReadOnlyList<CudaProgram> programs)
    {
        (_config, _input, _device, _program) = (config, input, device, programs[0]);
        _variants = [.. programs.Select((program, size) => new Variant(program, s_tiles[size], SharedBytes, input))];
        using var scope = NewDisposeScope();
        _layers = tensor(LayerAddresses(weight), device: device).DetachFromDisposeScope();
        _frequencies = tensor(RotaryEmbedding.Frequencies(config), device: device).DetachFromDisposeScope();
        IntPtr Room(long numbers, ScalarType dtype) => CudaProgram.Address(Keep(zeros(numbers, dtype, device)));
        var queries = (long)MostRows * config.Heads * config.HeadDim;
        var width = (long)MostRows * config.HiddenSize;
        Outputs = Keep(zeros(MostRows, config.HiddenSize, ScalarType.BFloat16, device));
        _arguments = new StepArguments
        {
            Layers = CudaProgram.Address(_layers),
            Frequencies = CudaProgram.Address(_frequencies),
            Residual = Room(width, ScalarType.Float32),
            Scaled = CudaProgram.Address(Outputs),
            Squares = Room(width / 16, ScalarType.Float32),
            Rotations = Room(MostRows * config.HeadDim, ScalarType.Float32),
            Queries = Room(queries, ScalarType.Float32),
            Keys = Room((long)MostRows * config.KeyValueHeads * config.HeadDim, ScalarType.Float32),
            Attended = Room(queries, ScalarType.BFloat16),
            Inner = Room((long)MostRows * config.IntermediateSize, ScalarType.BFloat16),
            Barrier = Room(2, ScalarType.Int32),
        };
        if (input == LayerInput.Tokens) return;
        _arguments.Joined = Room(2 * width, ScalarType.BFloat16);
        _arguments.Ones = CudaProgram.Address(Keep(ones(config.HiddenSize, ScalarType.BFloat16, device)));
    }

    /// <summary>The numbers of rows up to which steps share their kernels.</summary>
    public static IReadOnlyList<int> Sizes { get; } = [8, 16, MostRows];

    /// <summary>Whether all phases of a step can run in one launch, whose blocks wait for each other.</summary>
    public bool CanCooperate => _program.CanCooperate;

    /// <summary>What all steps share; a step adds its rows, its cache and where its results go.</summary>
    public StepArguments Arguments => _arguments;

    /// <summary>
    /// Part of the workspace, [MostRows,D]. After the layers of a head it has their outputs, in the first rows.
    /// </summary>
    public Tensor Outputs { get; }

    /// <summary>The number of a step's phases. The last one is the final norm.</summary>
    public int Phases => _config.Layers * PhasesPerLayer + FirstPhases + 1;

    /// <summary>Loads the kernels for some layers, or compiles them.</summary>
    /// <param name="config">The sizes and switches of the layers.</param>
    /// <param name="input">What the first layer gets.</param>
    /// <param name="weight">
    /// The weights of a layer by the names of <see cref="DecoderScript.LayerTensors"/>; null where it has none. They live longer than this
    /// object.
    /// </param>
    /// <param name="dtype">The dtype of the computation.</param>
    /// <param name="device">The device of the weights.</param>
    /// <returns>
    /// The layers; null where the kernels do not serve: in another dtype, with sizes that they do not divide, or where they can be
    /// neither compiled nor launched.
    /// </returns>
    public static FusedLayers? Create(
        ModelConfig config, LayerInput input, Func<int, string, Tensor?> weight, ScalarType dtype, Device device)
    {
        if (device.type != DeviceType.CUDA || dtype != ScalarType.BFloat16 || !Serves(config)) return null;
        var variants = s_tiles.Select(tiles => (Macro[])[.. Macros(config, input), ("TILES_AT_ONCE", Text(tiles))]);
        var programs = CudaProgram.Load("Decoder.cu", EmbeddedFile.Read("Rows.cu") + EmbeddedFile.Read("Decoder.cu"), [.. variants]);
        return programs is null || (!programs[0].CanCooperate && !CudaGraph.Supported(device))
            ? null
            : new FusedLayers(config, input, weight, device, programs);
    }

    /// <summary>Launches some phases of a step.</summary>
    /// <param name="step">What the kernel gets.</param>
    /// <param name="form">Whether the phases share a launch.</param>
    /// <param name="first">The first phase.</param>
    /// <param name="end">The phase after the last one.</param>
    /// <param name="follows">
    /// Whether the launch before on this stream is one of these kernels, so that the first one may begin while it ends.
    /// </param>
    public void Launch(StepArguments step, StepForm form, int first, int end, bool follows = false)
    {
        var variant = Variants(step.Count);
        var last = end;
        var arguments = stackalloc void*[] { &step, &first, &last };
        if (form == StepForm.Persistent)
        {
            var threads = PersistentGroups * GroupThreads;
            CudaProgram.Launch(variant.Persistent, _program.Multiprocessors, threads, LaunchKind.Cooperative, arguments);
            return;
        }
        for (; first < end; first++)
        {
            last = first + 1;
            // The first one waits for whatever was before the step.
            CudaProgram.Launch(variant.Phase, PhaseBlocks(variant, first, step.Count), GroupThreads, Kind(follows), arguments);
            follows = true;
        }
    }

    /// <summary>A product of rows with a matrix: [N,outputs] from [N,D].</summary>
    /// <param name="weights">The matrix, [outputs,D].</param>
    /// <param name="rows">The rows, of any number.</param>
    /// <param name="follows">As in <see cref="Launch"/>.</param>
    public Tensor Linear(Tensor weights, Tensor rows, bool follows = false)
    {
        using var scope = NewDisposeScope();
        var count = (int)rows.shape[0];
        var outputs = (int)weights.shape[0];
        var results = empty(count, outputs, ScalarType.BFloat16, _device);
        var (matrix, from, to) = (CudaProgram.Address(weights), CudaProgram.Address(rows), CudaProgram.Address(results));
        int number;
        var arguments = stackalloc void*[] { &matrix, &from, &to, &outputs, &number };
        for (var left = count; left > 0; left -= number)
        {
            number = Math.Min(MostRows, left);
            var variant = Variants(number);
            CudaProgram.Launch(variant.Linear, Blocks(variant, (outputs + 15) / 16, number), GroupThreads, Kind(follows), arguments);
            follows = true;
            from += number * _config.HiddenSize * sizeof(ushort);
            to += number * outputs * sizeof(ushort);
        }
        GC.KeepAlive(rows);
        return results.MoveToOuterDisposeScope();
    }

    /// <summary>The best output of each row in a product, for layers of a head.</summary>
    /// <param name="weights">The matrix, [outputs,D].</param>
    /// <param name="rows">The address of the rows, [N,D].</param>
    /// <param name="count">N, at most <see cref="MostRows"/>.</param>
    /// <param name="best">The address of [N] numbers of 64 bits, zeros before; see <see cref="BestKey"/>.</param>
    /// <param name="follows">As in <see cref="Launch"/>.</param>
    public void Best(Tensor weights, IntPtr rows, int count, IntPtr best, bool follows)
    {
        var outputs = (int)weights.shape[0];
        var matrix = CudaProgram.Address(weights);
        var variant = Variants(count);
        var arguments = stackalloc void*[] { &matrix, &rows, &best, &outputs, &count };
        CudaProgram.Launch(variant.Best!.Value, Blocks(variant, (outputs + 15) / 16, count), GroupThreads, Kind(follows), arguments);
    }

    /// <summary>The outputs that a draft begins with, one for each sequence, for layers of a head.</summary>
    /// <param name="rows">The address of the descriptions that name them, [B,Ints]; afterwards they name the rows of the result.</param>
    /// <param name="batch">B.</param>
    /// <param name="outputs">The addresses of what the head continues from and of what its LM head gets, [N,D].</param>
    /// <param name="roots">The addresses of the results, [B,D].</param>
    public void Pick(
        IntPtr rows, int batch, (IntPtr Continued, IntPtr BeforeLmHead) outputs, (IntPtr Continued, IntPtr BeforeLmHead) roots)
    {
        var arguments = stackalloc void*[]
        {
            &rows, &outputs.Continued, &outputs.BeforeLmHead, &roots.Continued, &roots.BeforeLmHead,
        };
        CudaProgram.Launch(_variants[0].Pick!.Value, batch, GroupThreads, Kind(follows: true), arguments);
    }

    /// <summary>The place of so many rows in <see cref="Sizes"/>.</summary>
    public static int Size(int rows)
    {
        var size = 0;
        while (Sizes[size] < rows) size++;
        return size;
    }

    public void Dispose()
    {
        foreach (var tensor in (Tensor[])[_layers, _frequencies, .. _workspace]) tensor.Dispose();
    }

    private int PhasesPerLayer => _config.QueryKeyNorm ? 6 : 5;

    private int FirstPhases => _input == LayerInput.JoinedPairs ? 2 : 1;

    // A warp takes 32 inputs at once, and a head's numbers are spread over 8 or 16 lanes.
    private static bool Serves(ModelConfig config) =>
        config.HasLlamaLayers && config.EmbeddingScale == 1
        && config.HiddenSize % 32 == 0 && config.IntermediateSize % 32 == 0 && config.HeadDim is 64 or 128;

    private static Macro[] Macros(ModelConfig config, LayerInput input) =>
    [
        ("WIDTH", Text(config.HiddenSize)),
        ("INNER", Text(config.IntermediateSize)),
        ("HEADS", Text(config.Heads)),
        ("KV_HEADS", Text(config.KeyValueHeads)),
        ("HEAD_DIM", Text(config.HeadDim)),
        ("LAYERS", Text(config.Layers)),
        ("EPSILON", $"float({Text(config.RmsNormEps)})"),
        ("QK_NORM", config.QueryKeyNorm ? "1" : "0"),
        ("JOINED", Text((int)input)),
    ];

    private static string Text(IFormattable number) => number.ToString(null, CultureInfo.InvariantCulture);

    private Tensor Keep(Tensor tensor)
    {
        _workspace.Add(tensor.DetachFromDisposeScope());
        return tensor;
    }

    private LaunchKind Kind(bool follows) => follows && _program.Overlaps ? LaunchKind.Overlapping : LaunchKind.Ordinary;

    private Variant Variants(int rows) => _variants[Size(rows)];

    private int SharedBytes(int tiles, int groups)
    {
        var product = groups * (GroupThreads / 32 * 16 * (8 * tiles + 4) + MostRows);
        var sharing = _config.Heads / _config.KeyValueHeads;
        var together = Enumerable.Range(1, 4).Last(heads => sharing % heads == 0);
        var attention = Parts * together * (_config.HeadDim + 2);
        return Math.Max(product, attention) * sizeof(float);
    }

    private long[] LayerAddresses(Func<int, string, Tensor?> weight)
    {
        var addresses = new long[_config.Layers * PointersPerLayer];
        for (var layer = 0; layer < _config.Layers; layer++)
            for (var i = 0; i < PointersPerLayer; i++)
                if (weight(layer, s_pointers[i]) is { } tensor)
                    addresses[layer * PointersPerLayer + i] = CudaProgram.Address(tensor);
        return addresses;
    }

    private int PhaseBlocks(Variant variant, int phase, int count)
    {
        if (phase == 0 || phase == Phases - 1) return count;
        if (phase < FirstPhases) return Blocks(variant, _config.HiddenSize / 16, count);
        var kind = (phase - FirstPhases) % PhasesPerLayer;
        if (kind == 0) return Blocks(variant, (_config.Heads + 2 * _config.KeyValueHeads) * _config.HeadDim / 16, count);
        return (PhasesPerLayer - kind) switch
        {
            1 or 3 => Blocks(variant, _config.HiddenSize / 16, count),
            2 => Blocks(variant, _config.IntermediateSize / 8, count),
            4 => Math.Min(2 * _program.Multiprocessors, count * _config.Heads),
            _ => Math.Min(2 * _program.Multiprocessors, count * (_config.Heads + _config.KeyValueHeads)),
        };
    }

    // Two blocks fit on a multiprocessor; more would only take turns.
    private int Blocks(Variant variant, int tiles, int count)
    {
        var rows = variant.Tiles * 8;
        return Math.Min(2 * _program.Multiprocessors, tiles * ((count + rows - 1) / rows));
    }

    // The kernels of one size: a step's with the shared memory of a persistent launch and of a phase, and the products with an LM head.
    private sealed class Variant
    {
        public Variant(CudaProgram program, int tiles, Func<int, int, int> sharedBytes, LayerInput input)
        {
            Tiles = tiles;
            var phase = sharedBytes(tiles, 1);
            Persistent = program.Find("step", sharedBytes(tiles, PersistentGroups));
            Phase = Persistent with { SharedBytes = phase };
            Linear = program.Find("linear", phase);
            if (input == LayerInput.Tokens) return;
            Best = program.Find("choose", phase);
            Pick = program.Find("pick", 0);
        }

        public int Tiles { get; }

        public CudaProgram.Kernel Persistent { get; }

        public CudaProgram.Kernel Phase { get; }

        public CudaProgram.Kernel Linear { get; }

        public CudaProgram.Kernel? Best { get; }

        public CudaProgram.Kernel? Pick { get; }
    }
}
