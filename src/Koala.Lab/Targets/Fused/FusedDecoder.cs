using System.Globalization;
using Koala.Lab.Checkpoints;
using Koala.Lab.Runtime.Cuda;
using Koala.Lab.Runtime.Files;
using TorchSharp;
using static TorchSharp.torch;
using Macro = (string Name, string Value);

namespace Koala.Lab.Targets.Fused;

/// <summary>
/// A target's step in bf16 on a GPU, in kernels of our own (Decoder.cu). It has several forms, which compute the same bits; see
/// <see cref="StepForm"/>.
/// </summary>
/// <remarks>
/// N rows, D width, V vocabulary. A row's numbers depend neither on the other rows of a step nor on their number: a step over several
/// tokens gives each of them the bits that a step over one token gives. All steps share one workspace, so they run in order.
/// </remarks>
internal sealed unsafe class FusedDecoder : IDisposable
{
    /// <summary>The most rows of a launch.</summary>
    public const int MostRows = 64;

    // Work with more rows takes several launches, which read the weights again. Beyond these libtorch's products are faster.
    private const int MostLaunches = 4;

    private const int GroupThreads = 256;       // GROUP_WARPS of Decoder.cu
    private const int PersistentGroups = 2;     // a block's groups in the persistent form
    private const int Parts = 16;               // PARTS of Decoder.cu
    private const int PointersPerLayer = 9;     // of struct Layer

    // Steps of so many rows share their kernels.
    private static readonly int[] s_sizes = [8, 16, MostRows];

    // The numbers of 8 rows that a product computes at once, for each of these sizes.
    private static readonly int[] s_tiles = [1, 2, 4];

    private readonly ModelConfig _config;
    private readonly TargetWeights _weights;
    private readonly Device _device;
    private readonly CudaProgram _program;
    private readonly Variant[] _variants;       // for each size
    private readonly StepForm[] _forms;         // for each size
    private readonly Tensor _layers;            // [layers,PointersPerLayer], addresses
    private readonly Tensor _frequencies;       // [headDim/2]
    private readonly Tensor _described;         // [MostRows,Ints], the rows of steps whose tokens are on the device
    private readonly Tensor[] _workspace;
    private StepArguments _arguments;

    private FusedDecoder(ModelConfig config, TargetWeights weights, Device device, IReadOnlyList<CudaProgram> programs)
    {
        (_config, _weights, _device, _program) = (config, weights, device, programs[0]);
        _variants = [.. programs.Select((program, size) => new Variant(program, s_tiles[size], SharedBytes))];
        _forms = [.. s_sizes.Select(_ => _program.CanCooperate ? StepForm.Persistent : StepForm.Fused)];
        using var scope = NewDisposeScope();
        _layers = tensor(LayerAddresses(), device: device).DetachFromDisposeScope();
        _frequencies = tensor(RotaryEmbedding.Frequencies(config), device: device).DetachFromDisposeScope();
        _described = zeros(MostRows, RowDescriptions.Ints, ScalarType.Int32, device).DetachFromDisposeScope();

        var tensors = new List<Tensor>();
        IntPtr Room(long numbers, ScalarType dtype)
        {
            tensors.Add(zeros(numbers, dtype, device).DetachFromDisposeScope());
            return CudaProgram.Address(tensors[^1]);
        }
        var queries = (long)MostRows * config.Heads * config.HeadDim;
        var width = (long)MostRows * config.HiddenSize;
        _arguments = new StepArguments
        {
            Embedding = CudaProgram.Address(weights.Embedding),
            Layers = CudaProgram.Address(_layers),
            FinalNorm = CudaProgram.Address(weights.Layers[^1]),
            Frequencies = CudaProgram.Address(_frequencies),
            Residual = Room(width, ScalarType.Float32),
            Scaled = Room(width, ScalarType.BFloat16),
            Squares = Room(width / 16, ScalarType.Float32),
            Rotations = Room(MostRows * config.HeadDim, ScalarType.Float32),
            Queries = Room(queries, ScalarType.Float32),
            Keys = Room((long)MostRows * config.KeyValueHeads * config.HeadDim, ScalarType.Float32),
            Attended = Room(queries, ScalarType.BFloat16),
            Inner = Room((long)MostRows * config.IntermediateSize, ScalarType.BFloat16),
            Barrier = Room(2, ScalarType.Int32),
        };
        _workspace = [.. tensors];
    }

    /// <summary>The most rows of a step that libtorch does not compute faster; see <see cref="LeaveMany"/>.</summary>
    public int Limit { get; private set; } = int.MaxValue;

    /// <summary>What reports call the form of a step over one token.</summary>
    public string Name => _forms[0] == StepForm.Persistent ? "persistent" : "fused";

    /// <summary>Makes the decoder of a target.</summary>
    /// <param name="config">The target's sizes and switches.</param>
    /// <param name="weights">The target's weights, which live longer than this object.</param>
    /// <param name="dtype">The dtype of the computation.</param>
    /// <param name="device">The device of the weights.</param>
    /// <returns>
    /// The decoder; null where the kernels do not serve: in another dtype, with sizes that they do not divide, or where they can be
    /// neither compiled nor launched.
    /// </returns>
    public static FusedDecoder? Create(ModelConfig config, TargetWeights weights, ScalarType dtype, Device device)
    {
        if (device.type != DeviceType.CUDA || dtype != ScalarType.BFloat16 || !Serves(config)) return null;
        var variants = s_tiles.Select(tiles => (Macro[])[.. Macros(config), ("TILES_AT_ONCE", Text(tiles))]);
        var programs = CudaProgram.Load("Decoder.cu", EmbeddedFile.Read("Decoder.cu"), [.. variants]);
        return programs is null || (!programs[0].CanCooperate && !CudaGraph.Supported(device))
            ? null
            : new FusedDecoder(config, weights, device, programs);
    }

    /// <summary>Uses a form for steps of any number of rows.</summary>
    public void Use(StepForm form)
    {
        Array.Fill(_forms, form);
        Limit = int.MaxValue;
    }

    /// <summary>Chooses the fastest form for each size by measuring them.</summary>
    /// <param name="cache">A cache of one sequence; what it holds is lost.</param>
    public void Choose(KeyValueCache cache)
    {
        if (!CudaGraph.Supported(_device)) return;
        using var scope = NewDisposeScope();
        for (var size = 0; size < s_sizes.Length; size++)
        {
            var count = size == 0 ? 1 : s_sizes[size];
            if (count > cache.Capacity) return;
            var rows = new StepRows();
            for (var row = 0; row < count; row++) rows.AddCausal(0, cache.Capacity - count + row);
            var described = RowDescriptions.Create(rows, new int[count], 0, count).to(_device);
            void Work() => Step(described, cache.Capacity, cache, []);
            var times = new Dictionary<StepForm, double>();
            foreach (var form in Enum.GetValues<StepForm>())
            {
                if (form == StepForm.Persistent && !_program.CanCooperate) continue;
                _forms[size] = form;
                if (form == StepForm.Persistent)
                {
                    times[form] = Time(Work);
                    continue;
                }
                using var graph = CudaGraph.Capture(() =>
                {
                    using var step = NewDisposeScope();
                    Work();
                });
                times[form] = Time(graph.Replay);
            }
            _forms[size] = times.MinBy(time => time.Value).Key;
        }
    }

    /// <summary>
    /// Leaves steps of many rows to libtorch, whose products over many rows of a large model are faster. Such rows are no longer those of
    /// a step over one token, bit by bit.
    /// </summary>
    public void LeaveMany() => Limit = s_sizes[^2];

    /// <summary>Whether a step is better left to libtorch.</summary>
    /// <param name="rows">The rows of the step.</param>
    /// <param name="featureLayers">The layers whose outputs are wanted.</param>
    /// <param name="oneLaunch">Whether it may take only one launch.</param>
    public bool Declines(StepRows rows, IReadOnlyList<int> featureLayers, bool oneLaunch) =>
        rows.Count > Math.Min(Limit, oneLaunch ? MostRows : MostRows * MostLaunches)
        || rows.MostFurther > RowDescriptions.MostFurther
        || rows.MostVisible > Window
        || featureLayers.Count > StepArguments.MostFeatures;

    /// <summary>Runs a step; what the rows see of each other is in the order of the rows.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="ids">Their tokens, [N].</param>
    /// <param name="cache">The cache, which gets the rows' keys and values.</param>
    /// <param name="featureLayers">The layers whose outputs are wanted.</param>
    /// <param name="capture">Whether the step occurs often, so that its launches are worth capturing.</param>
    /// <returns>The hidden states after the final norm, [N,D], then, where layers are wanted, their outputs side by side.</returns>
    public Tensor[] Run(StepRows rows, int[] ids, KeyValueCache cache, IReadOnlyList<int> featureLayers, bool capture)
    {
        using var scope = NewDisposeScope();
        var steps = new List<Tensor[]>();
        for (var start = 0; start < rows.Count; start += MostRows)
        {
            var described = RowDescriptions.Create(rows, ids, start, Math.Min(MostRows, rows.Count - start));
            if (Form((int)described.shape[0]) == StepForm.Persistent || !capture)
            {
                steps.Add(Step(described.to(_device), rows.MostVisible, cache, featureLayers));
            }
            else
            {
                // The launches of a graph keep the length that they were captured with.
                var longest = TargetModel.KeyValueLength(cache, rows.MostVisible);
                var key = new GraphKey($"fused {string.Join(',', featureLayers)}", (int)described.shape[0], longest);
                steps.Add(cache.Graphs.Run(key, [described], inputs => Step(inputs[0], longest, cache, featureLayers)));
            }
        }
        var outputs = steps.Count == 1 ? steps[0] : [.. steps[0].Select((_, i) => cat([.. steps.Select(step => step[i])], 0))];
        foreach (var output in outputs) output.MoveToOuterDisposeScope();
        return outputs;
    }

    /// <summary>Appends a token to every sequence of a cache; see <see cref="TargetModel.Step"/>.</summary>
    /// <returns>Hidden states after the final norm, [B,D].</returns>
    public Tensor Step(KeyValueCache cache, Tensor ids, Tensor positions, int keyValueLength)
    {
        var described = _described.narrow(0, 0, ids.shape[0]);
        RowDescriptions.Causal(described, ids, positions);
        return Step(described, keyValueLength, cache, [])[0];
    }

    /// <summary>The LM head over hidden states, [...,D]: logits [...,V]; null where libtorch is faster.</summary>
    public Tensor? Logits(Tensor hidden)
    {
        var count = hidden.numel() / _config.HiddenSize;
        if (count > MostRows * MostLaunches) return null;
        using var scope = NewDisposeScope();
        var rows = hidden.contiguous();
        var logits = empty([.. hidden.shape[..^1], _config.VocabularySize], ScalarType.BFloat16, _device);
        var (weights, from, to) = (CudaProgram.Address(_weights.LmHead), CudaProgram.Address(rows), CudaProgram.Address(logits));
        int outputs = _config.VocabularySize, number;
        var arguments = stackalloc void*[] { &weights, &from, &to, &outputs, &number };
        for (var left = (int)count; left > 0; left -= number)
        {
            number = Math.Min(MostRows, left);
            var variant = Variants(number);
            var blocks = Blocks(variant, (outputs + 15) / 16, number);
            CudaProgram.Launch(variant.Linear, blocks, GroupThreads, LaunchKind.Ordinary, arguments);
            from += number * _config.HiddenSize * sizeof(ushort);
            to += number * outputs * sizeof(ushort);
        }
        GC.KeepAlive(rows);
        return logits.MoveToOuterDisposeScope();
    }

    public void Dispose()
    {
        foreach (var tensor in (Tensor[])[_layers, _frequencies, _described, .. _workspace]) tensor.Dispose();
    }

    /// <summary>The most tokens that a row can attend to: up to a window, layers that have one attend to everything.</summary>
    public int Window => _config.SlidingWindow ?? int.MaxValue;

    private int PhasesPerLayer => _config.QueryKeyNorm ? 6 : 5;

    private int Phases => _config.Layers * PhasesPerLayer + 2;

    // A warp takes 32 inputs at once, and a head's numbers are spread over 8 or 16 lanes.
    private static bool Serves(ModelConfig config) =>
        config.HasLlamaLayers && config.EmbeddingScale == 1
        && config.HiddenSize % 32 == 0 && config.IntermediateSize % 32 == 0 && config.HeadDim is 64 or 128;

    private static Macro[] Macros(ModelConfig config) =>
    [
        ("WIDTH", Text(config.HiddenSize)),
        ("INNER", Text(config.IntermediateSize)),
        ("HEADS", Text(config.Heads)),
        ("KV_HEADS", Text(config.KeyValueHeads)),
        ("HEAD_DIM", Text(config.HeadDim)),
        ("LAYERS", Text(config.Layers)),
        ("EPSILON", $"float({Text(config.RmsNormEps)})"),
        ("QK_NORM", config.QueryKeyNorm ? "1" : "0"),
    ];

    private static string Text(IFormattable number) => number.ToString(null, CultureInfo.InvariantCulture);

    /// <summary>The median of several runs of several calls, in seconds.</summary>
    public static double Time(Action work)
    {
        const int Runs = 5, Calls = 4;
        work();
        var times = new double[Runs];
        for (var run = 0; run < Runs; run++)
        {
            cuda.synchronize();
            var start = TimeProvider.System.GetTimestamp();
            for (var call = 0; call < Calls; call++)
            {
                using var scope = NewDisposeScope();
                work();
            }
            cuda.synchronize();
            times[run] = TimeProvider.System.GetElapsedTime(start).TotalSeconds;
        }
        Array.Sort(times);
        return times[Runs / 2];
    }

    private static int Size(int rows) => Array.FindIndex(s_sizes, size => rows <= size);

    private StepForm Form(int rows) => _forms[Size(rows)];

    private Variant Variants(int rows) => _variants[Size(rows)];

    private int SharedBytes(int tiles, int groups)
    {
        var product = groups * (GroupThreads / 32 * 16 * (8 * tiles + 4) + MostRows);
        var sharing = _config.Heads / _config.KeyValueHeads;
        var together = Enumerable.Range(1, 4).Last(heads => sharing % heads == 0);
        var attention = Parts * together * (_config.HeadDim + 2);
        return Math.Max(product, attention) * sizeof(float);
    }

    private long[] LayerAddresses()
    {
        var names = DecoderScript.LayerTensors(_config);
        string[] order = ["input_norm", "qkv", "o", "post_norm", "gate_up", "down", "qkv_bias", "q_norm", "k_norm"];
        var addresses = new long[_config.Layers * PointersPerLayer];
        for (var layer = 0; layer < _config.Layers; layer++)
            for (var i = 0; i < names.Count; i++)
                addresses[layer * PointersPerLayer + Array.IndexOf(order, names[i])] =
                    CudaProgram.Address(_weights.Layers[layer * names.Count + i]);
        return addresses;
    }

    // Launches a step over rows that are described on the device.
    private Tensor[] Step(Tensor described, int longest, KeyValueCache cache, IReadOnlyList<int> featureLayers)
    {
        var count = (int)described.shape[0];
        var hidden = empty(count, _config.HiddenSize, ScalarType.BFloat16, _device);
        var features = featureLayers.Count == 0
            ? null
            : empty(count, featureLayers.Count * _config.HiddenSize, ScalarType.BFloat16, _device);
        var step = _arguments;
        step.Rows = CudaProgram.Address(described);
        step.Caches = CudaProgram.Address(cache.Addresses);
        step.Hidden = CudaProgram.Address(hidden);
        step.Features = features is null ? 0 : CudaProgram.Address(features);
        (step.Count, step.Capacity, step.Longest, step.FeatureCount) = (count, cache.Capacity, longest, featureLayers.Count);
        for (var i = 0; i < featureLayers.Count; i++) step.FeatureLayers[i] = featureLayers[i];

        var variant = Variants(count);
        int first = 0, last = Phases;
        var arguments = stackalloc void*[] { &step, &first, &last };
        if (Form(count) == StepForm.Persistent)
        {
            var threads = PersistentGroups * GroupThreads;
            CudaProgram.Launch(variant.Persistent, _program.Multiprocessors, threads, LaunchKind.Cooperative, arguments);
        }
        else
        {
            for (; first < Phases; first++)
            {
                last = first + 1;
                // The first one waits for whatever was before the step.
                var kind = first > 0 && _program.Overlaps ? LaunchKind.Overlapping : LaunchKind.Ordinary;
                CudaProgram.Launch(variant.Phase, PhaseBlocks(variant, first, count), GroupThreads, kind, arguments);
            }
        }
        return features is null ? [hidden] : [hidden, features];
    }

    private int PhaseBlocks(Variant variant, int phase, int count)
    {
        if (phase == 0 || phase == Phases - 1) return count;
        var kind = (phase - 1) % PhasesPerLayer;
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

    // The kernels of one size: a step's with the shared memory of a persistent launch and of a phase, and the plain product.
    private sealed class Variant
    {
        public Variant(CudaProgram program, int tiles, Func<int, int, int> sharedBytes)
        {
            Tiles = tiles;
            var phase = sharedBytes(tiles, 1);
            Persistent = program.Find("step", sharedBytes(tiles, PersistentGroups));
            Phase = Persistent with { SharedBytes = phase };
            Linear = program.Find("linear", phase);
        }

        public int Tiles { get; }

        public CudaProgram.Kernel Persistent { get; }

        public CudaProgram.Kernel Phase { get; }

        public CudaProgram.Kernel Linear { get; }
    }
}
