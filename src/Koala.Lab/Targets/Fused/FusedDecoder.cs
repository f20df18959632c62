using Koala.Lab.Checkpoints;
using Koala.Lab.Runtime.Cuda;
using static TorchSharp.torch;

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
    public const int MostRows = FusedLayers.MostRows;

    // Work with more rows takes several launches, which read the weights again. Beyond these libtorch's products are faster.
    private const int MostLaunches = 4;

    private readonly ModelConfig _config;
    private readonly TargetWeights _weights;
    private readonly Device _device;
    private readonly FusedLayers _layers;
    private readonly StepForm[] _forms;         // for each size
    private readonly Tensor _described;         // [MostRows,Ints], the rows of steps whose tokens are on the device
    private StepArguments _arguments;

    private FusedDecoder(ModelConfig config, TargetWeights weights, Device device, FusedLayers layers)
    {
        (_config, _weights, _device, _layers) = (config, weights, device, layers);
        _forms = [.. FusedLayers.Sizes.Select(_ => layers.CanCooperate ? StepForm.Persistent : StepForm.Fused)];
        _described = zeros(MostRows, RowDescriptions.Ints, ScalarType.Int32, device).DetachFromDisposeScope();
        _arguments = layers.Arguments;
        _arguments.Embedding = CudaProgram.Address(weights.Embedding);
        _arguments.FinalNorm = CudaProgram.Address(weights.Layers[^1]);
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
    /// <returns>The decoder; null where the kernels do not serve, as in <see cref="FusedLayers.Create"/>.</returns>
    public static FusedDecoder? Create(ModelConfig config, TargetWeights weights, ScalarType dtype, Device device)
    {
        var names = DecoderScript.LayerTensors(config);
        Tensor? Weight(int layer, string name)
        {
            var place = names.ToList().IndexOf(name);
            return place < 0 ? null : weights.Layers[layer * names.Count + place];
        }
        var layers = FusedLayers.Create(config, LayerInput.Tokens, Weight, dtype, device);
        return layers is null ? null : new FusedDecoder(config, weights, device, layers);
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
        for (var size = 0; size < FusedLayers.Sizes.Count; size++)
        {
            var count = size == 0 ? 1 : FusedLayers.Sizes[size];
            if (count > cache.Capacity) return;
            var rows = new StepRows();
            for (var row = 0; row < count; row++) rows.AddCausal(0, cache.Capacity - count + row);
            var described = RowDescriptions.Create(rows, new int[count], 0, count).to(_device);
            void Work() => Step(described, cache.Capacity, cache, []);
            var times = new Dictionary<StepForm, double>();
            foreach (var form in Enum.GetValues<StepForm>())
            {
                if (form == StepForm.Persistent && !_layers.CanCooperate) continue;
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
    public void LeaveMany() => Limit = FusedLayers.Sizes[^2];

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
        var logits = _layers.Linear(_weights.LmHead, hidden.contiguous().view(count, -1));
        return logits.view([.. hidden.shape[..^1], _config.VocabularySize]).MoveToOuterDisposeScope();
    }

    public void Dispose()
    {
        _layers.Dispose();
        _described.Dispose();
    }

    /// <summary>The most tokens that a row can attend to: up to a window, layers that have one attend to everything.</summary>
    public int Window => _config.SlidingWindow ?? int.MaxValue;

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

    private StepForm Form(int rows) => _forms[FusedLayers.Size(rows)];

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

        _layers.Launch(step, Form(count), 0, _layers.Phases);
        return features is null ? [hidden] : [hidden, features];
    }
}
