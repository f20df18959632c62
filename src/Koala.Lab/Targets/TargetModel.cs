using Koala.Lab.Checkpoints;
using Koala.Lab.Runtime.Cuda;
using Koala.Lab.Targets.Fused;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>
/// The computation of a <see cref="Target"/>: its weights, and the steps of its decoder layers over a key-value cache.
/// </summary>
/// <remarks>
/// B sequences, T new tokens each, N = B·T, D width, F width of the features, V vocabulary, L cache slots that
/// attention looks at. The weights never take gradients.
/// </remarks>
internal sealed unsafe class TargetModel : IDisposable
{
    // Attention looks at a multiple of this many cache slots, so that the shapes of a step change rarely. A GPU looks
    // at a few hundred slots in the time of one, and each shape costs it a capture.
    private const int Bucket = 64;
    private const int GpuBucket = 256;

    // The context over which the forms of a step are compared.
    private const int ComparedContext = 512;

    private readonly ModelConfig _config;
    private readonly ScalarType _dtype;
    private readonly Device _device;
    private readonly DecoderScript _script;
    private readonly RotaryEmbedding _rotary;
    private readonly RotaryEmbedding? _localRotary;   // of layers with a sliding window, where they have their own
    private readonly float _embeddingScale;
    private readonly Tensor _slotNumbers;   // 0 .. context-1
    private readonly CpuTarget? _cpu;       // null on a GPU

    /// <param name="files">The opened files of the model.</param>
    /// <param name="weightDtype">The dtype that the weights are rounded to.</param>
    /// <param name="dtype">The dtype of the computation. On a CPU it is fp32.</param>
    /// <param name="device">The device of the weights.</param>
    /// <param name="eightBits">Whether a CPU rounds matrices to int8.</param>
    public TargetModel(ModelFiles files, ScalarType weightDtype, ScalarType dtype, Device device, bool eightBits)
    {
        TargetTensors.Check(files);
        _config = files.Config;
        _dtype = dtype;
        _device = device;
        using var scope = NewDisposeScope();
        var reader = new TargetReader(files, weightDtype, eightBits);
        if (device.type == DeviceType.CPU) _cpu = new CpuTarget(reader);
        Weights = _cpu?.ToTensors() ?? TargetWeights.Load(reader, device);
        _script = new DecoderScript(_config);
        _rotary = new RotaryEmbedding(RotaryEmbedding.Frequencies(_config), dtype, device, _config);
        if (_config.LocalRopeTheta is not null)
            _localRotary = new RotaryEmbedding(RotaryEmbedding.LocalFrequencies(_config), dtype, device, _config);
        // The published models round it to the dtype that they compute in.
        _embeddingScale = tensor(_config.EmbeddingScale).to(dtype).to(ScalarType.Float32).item<float>();
        _slotNumbers = arange(_config.ContextLength, ScalarType.Int64, device).DetachFromDisposeScope();
        Fused = FusedDecoder.Create(_config, Weights, dtype, device);
        if (Fused is null) return;
        using var cache = NewCache(1, ComparedContext);
        Fused.Choose(cache);
        CompareWithPlain(Fused, cache);
    }

    /// <summary>The weights as tensors; the model disposes them.</summary>
    public TargetWeights Weights { get; }

    /// <summary>The steps in kernels of our own on a GPU; null where libtorch computes them, and on a CPU.</summary>
    public FusedDecoder? Fused { get; set; }

    /// <summary>
    /// What computes the steps on a GPU: <c>persistent</c> and <c>fused</c> are kernels of our own, <c>plain</c> is libtorch; null on a
    /// CPU.
    /// </summary>
    public string? Kernels => _cpu is not null ? null : Fused is null ? "plain" : Fused.Name;

    /// <summary>The number of weights; a tied embedding counts once.</summary>
    public long WeightCount => _cpu?.Count ?? Tensors.Sum(tensor => tensor.numel());

    /// <summary>The bytes of all weights as they are kept.</summary>
    public long WeightBytes => _cpu?.Bytes ?? Tensors.Sum(tensor => tensor.numel() * tensor.element_size());

    /// <summary>
    /// The bytes of the weights that a step reads: all but an embedding that is not the LM head, of which it reads a row.
    /// </summary>
    public long BytesPerStep => WeightBytes - (_cpu?.OwnEmbeddingBytes
        ?? (ReferenceEquals(Weights.Embedding, Weights.LmHead) ? 0 : Weights.Embedding.numel() * Weights.Embedding.element_size()));

    /// <summary>
    /// The number of cache slots that attention has to look at for so many tokens: whole buckets, at most the cache's
    /// capacity.
    /// </summary>
    public static int KeyValueLength(KeyValueCache cache, int tokens) =>
        KeyValueLength(cache, tokens, cache.Device.type == DeviceType.CUDA ? GpuBucket : Bucket);

    /// <summary>The same with buckets of another size.</summary>
    public static int KeyValueLength(KeyValueCache cache, int tokens, int bucket) =>
        Math.Min(cache.Capacity, (tokens + bucket - 1) / bucket * bucket);

    /// <summary>See <see cref="Target.NewCache"/>.</summary>
    public KeyValueCache NewCache(int batch, int? capacity)
    {
        var tokens = Math.Min(capacity ?? _config.ContextLength, _config.ContextLength);
        return new KeyValueCache(_config.Layers, batch, tokens, _config.KeyValueHeads, _config.HeadDim, _dtype, _device);
    }

    /// <summary>Appends a tree of tokens to every sequence of a batch, in one step.</summary>
    /// <param name="cache">A cache of B sequences. Every token gets the next free slot of its sequence.</param>
    /// <param name="trees">The tokens of each sequence and their parents.</param>
    /// <param name="featureLayers">
    /// The layers whose outputs are wanted beside the hidden states, counted from 0; may be empty.
    /// </param>
    /// <param name="held">
    /// The number of tokens at the end of the cache that belong to the trees, in every sequence.
    /// </param>
    /// <param name="capture">Whether a GPU captures the step as a CUDA graph the second time its shape occurs.</param>
    /// <returns>A row per token; rows behind a sequence's own tree are padding.</returns>
    /// <exception cref="ArgumentException">
    /// The number of sequences is not the cache's, they do not fit into it, or a token comes before its parent.
    /// </exception>
    public TargetOutput Append(
        KeyValueCache cache, TokenTrees trees, IReadOnlyList<int> featureLayers, int held, bool capture)
    {
        if (trees.Tokens is null || trees.Parents is null) throw new ArgumentNullException(nameof(trees));
        foreach (var tokens in trees.Tokens) TokenIds.Check(tokens, _config.VocabularySize, nameof(trees));
        if (trees.Tokens.Count != cache.Batch)
            throw new ArgumentException($"{trees.Tokens.Count} sequences for a cache of {cache.Batch}", nameof(trees));
        var count = trees.Tokens.Max(tokens => tokens.Length);
        if (count == 0) throw new ArgumentException("there is no token", nameof(trees));
        for (var b = 0; b < cache.Batch; b++)
            if (trees.Tokens[b].Length > 0 && trees.Parents[b].Length != held + trees.Tokens[b].Length)
                throw new ArgumentException($"sequence {b} has other numbers of tokens than of parents", nameof(trees));
        if (cache.Lengths.Max() + count > cache.Capacity)
            throw new ArgumentException(
                $"{cache.Lengths.Max()} + {count} tokens do not fit a cache of {cache.Capacity}", nameof(trees));

        if (_cpu is not null)
        {
            var output = _cpu.Append(cache, trees, featureLayers, held, count);
            for (var b = 0; b < cache.Batch; b++) cache.Extend(b, trees.Tokens[b].Length);
            return output;
        }

        using var scope = NewDisposeScope();
        if (Fused is not null && StepRows.Of(trees, cache.Lengths, held) is var rows && !Fused.Declines(rows, featureLayers, !capture))
        {
            var output = AppendFused(cache, trees, rows, featureLayers, count, capture);
            for (var b = 0; b < cache.Batch; b++) cache.Extend(b, trees.Tokens[b].Length);
            return output.MoveToOuterDisposeScope();
        }
        var keyValueLength = KeyValueLength(cache, cache.Lengths.Max() + count);
        var slots = _slotNumbers.narrow(0, 0, keyValueLength);
        Tensor NewSlots(Tensor starts) => starts + _slotNumbers.narrow(0, 0, count);                        // [B,T]

        var stepInputs = IdsAndStarts(cache, trees.Tokens, count);
        var isChain = trees.IsChain;
        if (!isChain)
        {
            var newSlots = NewSlots(stepInputs[1].to(_device));
            var (positions, masked, places) = TreeAttention.Compute(trees.Parents, cache.Lengths, held, count, newSlots, slots);
            stepInputs = [.. stepInputs, positions, masked, places];                                 // [B,T], [B,T,L], [B,L]
        }

        // Everything that changes from step to step comes in as a parameter, so that the step can be captured.
        Tensor[] Step(Tensor[] inputs)
        {
            var (ids, starts) = (inputs[0], inputs[1]);
            var newSlots = NewSlots(starts);
            var (positions, masked, places) = isChain
                ? (newSlots, slots > newSlots.unsqueeze(-1), slots.unsqueeze(0))
                : (inputs[2], inputs[3], inputs[4]);
            var step = Inputs(positions, cache.Slots(newSlots), masked, keyValueLength, places);
            var (hidden, features) = Run(ids, step, cache, featureLayers);
            return featureLayers.Count == 0 ? [hidden] : [hidden, features];
        }

        var key = new GraphKey($"{(isChain ? "chain" : "tree")} {string.Join(',', featureLayers)}", count, keyValueLength);
        var outputs = capture ? cache.Graphs.Run(key, stepInputs, Step) : Step([.. stepInputs.Select(x => x.to(_device))]);
        for (var b = 0; b < cache.Batch; b++) cache.Extend(b, trees.Tokens[b].Length);
        return new TargetOutput(outputs[0], outputs[^1]).MoveToOuterDisposeScope();
    }

    /// <summary>See <see cref="Target.Features"/>.</summary>
    public TargetOutput Features(
        KeyValueCache cache, Tensor tokens, Tensor positions, Tensor segments, IReadOnlyList<int> featureLayers)
    {
        using var scope = NewDisposeScope();
        var count = (int)tokens.shape[1];
        cache.Clear();
        var slots = _slotNumbers.narrow(0, 0, count);
        var later = slots.unsqueeze(0) > slots.unsqueeze(1);                                                // [T,T]
        var masked = (segments.unsqueeze(2) != segments.unsqueeze(1)).logical_or_(later);                   // [B,T,T]
        var output = Run(tokens.view(-1), Inputs(positions, cache.Slots(slots), masked, count, positions), cache, featureLayers);
        return output.MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Appends a token to every sequence of a batch. Everything it needs is on the device and it reads nothing on the
    /// host, so that the step can be captured in a CUDA graph. The cache's lengths stay as they are: the caller keeps
    /// count.
    /// </summary>
    /// <param name="cache">A cache of B sequences.</param>
    /// <param name="ids">The tokens, [B], int64.</param>
    /// <param name="positions">
    /// Each token's position, which is also its cache slot, below the cache's capacity, [B,1], int64.
    /// </param>
    /// <param name="keyValueLength">
    /// L, above all positions whose results are used and at most the cache's capacity.
    /// </param>
    /// <returns>Hidden states after the final norm, [B,D].</returns>
    public Tensor Step(KeyValueCache cache, Tensor ids, Tensor positions, int keyValueLength)
    {
        if (_cpu is not null) return _cpu.Step(cache, ids, positions);
        if (Fused is not null && cache.Batch <= FusedDecoder.MostRows && keyValueLength <= Fused.Window)
            return Fused.Step(cache, ids, positions, keyValueLength);
        using var scope = NewDisposeScope();
        var slots = _slotNumbers.narrow(0, 0, keyValueLength);
        var masked = (slots > positions).unsqueeze(1);                                                      // [B,1,L]
        var step = Inputs(positions, cache.Slots(positions), masked, keyValueLength, slots.unsqueeze(0));
        var hidden = Run(ids, step, cache, []).Hidden;                                                      // [B,1,D]
        return hidden.squeeze(1).MoveToOuterDisposeScope();
    }

    /// <summary>See <see cref="Target.States"/>.</summary>
    public IReadOnlyList<Tensor> States(IReadOnlyList<int> tokens)
    {
        using var scope = NewDisposeScope();
        using var cache = NewCache(1, tokens.Count);
        var slots = _slotNumbers.narrow(0, 0, tokens.Count);
        var masked = slots.unsqueeze(0) > slots.unsqueeze(1);
        var step = Inputs(slots.view(1, -1), cache.Slots(slots), masked, tokens.Count, slots.unsqueeze(0));
        var rows = Embed(tensor(tokens.Select(token => (long)token).ToArray(), device: _device));
        Tensor[] states = [rows, .. _script.States(rows, Weights.Layers, step, cache)];
        foreach (var state in states) state.MoveToOuterDisposeScope();
        return states;
    }

    /// <summary>Embeddings of tokens, [N,D], from their ids on the device, [N]. No gradients flow.</summary>
    public Tensor Embed(Tensor ids)
    {
        if (_cpu is not null) return _cpu.Embed(ids.data<long>().ToArray());
        using var scope = NewDisposeScope();
        var rows = Weights.Embedding.index_select(0, ids);
        return (_embeddingScale == 1 ? rows : rows * _embeddingScale).MoveToOuterDisposeScope();
    }

    /// <summary>Rows of the LM head, [N,D], for tokens, [N], on the device.</summary>
    public Tensor LmHeadRows(Tensor ids) =>
        _cpu is null ? Weights.LmHead.index_select(0, ids) : PackedTensor.Rows(_cpu.LmHead, ids.data<long>().ToArray());

    /// <summary>The weights of the final norm, [D]. The model owns them.</summary>
    public Tensor FinalNorm => Weights.Layers[^1];

    /// <summary>The target in kernels of Koala's own; null where libtorch computes it.</summary>
    public CpuTarget? Cpu => _cpu;

    /// <summary>The LM head over hidden states, [...,D]: logits [...,V]. Gradients flow to the hidden states.</summary>
    public Tensor Logits(Tensor hidden)
    {
        using var scope = NewDisposeScope();
        var logits = NeedsGradients(hidden) ? nn.functional.linear(hidden, Weights.LmHead)
            : _cpu is not null ? _cpu.Decoder.Multiply(_cpu.LmHead, hidden)
            : Fused?.Logits(hidden) ?? nn.functional.linear(hidden, Weights.LmHead);
        return (_config.LogitSoftCap is { } cap ? (logits / cap).tanh() * cap : logits).MoveToOuterDisposeScope();
    }

    /// <summary>Whether something computed from a tensor has to carry gradients, which only libtorch computes.</summary>
    public static bool NeedsGradients(Tensor x) => is_grad_enabled() && x.requires_grad;

    /// <summary>Cosines and signed sines of rotary positions [B,T]: [B,T,1,headDim] each.</summary>
    public (Tensor Cos, Tensor Sin) Rotations(Tensor positions) => _rotary.Compute(positions);

    /// <summary>
    /// What the layers of a step need beside the tokens. Slots and positions differ in packed rows and in trees, so
    /// both are given.
    /// </summary>
    /// <param name="positions">The tokens' positions, [B,T].</param>
    /// <param name="slots">Cache rows of the new tokens, [B·kvHeads·T].</param>
    /// <param name="masked">True at the slots that a token does not attend to, [B or 1,T,L], or [T,L].</param>
    /// <param name="keyValueLength">L.</param>
    /// <param name="slotPositions">The positions of the tokens in the slots, [B or 1,L]; null for layers without windows.</param>
    public StepInputs Inputs(Tensor positions, Tensor slots, Tensor masked, int keyValueLength, Tensor? slotPositions = null)
    {
        var full = Rotations(positions);
        var local = _localRotary?.Compute(positions) ?? full;
        (Tensor, Tensor)? none = _config.UnrotatedLayers.Count > 0 ? (ones_like(full.Cos), zeros_like(full.Sin)) : null;
        var mask = Mask(masked, Group, positions.shape[1], keyValueLength);
        var windowMask = mask;
        if (slotPositions is not null && _config.SlidingWindow is { } window)
        {
            var tooFar = slotPositions.unsqueeze(1) <= positions.unsqueeze(-1) - window;                    // [B,T,L]
            windowMask = Mask(masked.logical_or(tooFar), Group, positions.shape[1], keyValueLength);
        }
        return new StepInputs(full, local, none, mask, windowMask, slots, keyValueLength);
    }

    /// <summary>
    /// The same for layers of Llama's kind with other rotations and another number of query heads for each key/value head.
    /// </summary>
    public StepInputs Inputs((Tensor Cos, Tensor Sin) rotations, int group, Tensor slots, Tensor masked, int keyValueLength)
    {
        var mask = Mask(masked, group, rotations.Cos.shape[1], keyValueLength);
        return new StepInputs(rotations, rotations, null, mask, mask, slots, keyValueLength);
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose()
    {
        Fused?.Dispose();
        Weights.Dispose();
        _rotary.Dispose();
        _localRotary?.Dispose();
        _slotNumbers.Dispose();
        _cpu?.Dispose();
    }

    // Leaves steps of many rows to libtorch if it is faster.
    private void CompareWithPlain(FusedDecoder fused, KeyValueCache cache)
    {
        var chain = TokenTrees.Chains([new int[FusedDecoder.MostRows]]);
        var start = cache.Capacity - FusedDecoder.MostRows;
        if (start < 0) return;
        cache.Extend(0, start);
        void Work()
        {
            using var scope = NewDisposeScope();
            Append(cache, chain, [], 0, capture: true);
            cache.Truncate(0, start);
        }
        var own = FusedDecoder.Time(Work);
        Fused = null;
        var plain = FusedDecoder.Time(Work);
        Fused = fused;
        if (plain < own) fused.LeaveMany();
    }

    private IEnumerable<Tensor> Tensors => ((Tensor[])[Weights.Embedding, Weights.LmHead, .. Weights.Layers]).Distinct();

    // The token ids, [N], and the length of each sequence before the step, [B,1]; on the host.
    private static Tensor[] IdsAndStarts(KeyValueCache cache, IReadOnlyList<int[]> tokens, int count)
    {
        var ids = new long[cache.Batch * count];
        var starts = new long[cache.Batch];
        for (var b = 0; b < cache.Batch; b++)
        {
            // Padding gets token 0; its keys lie behind the sequence's length, where the next step overwrites them.
            for (var t = 0; t < tokens[b].Length; t++) ids[b * count + t] = tokens[b][t];
            starts[b] = cache.Lengths[b];
        }
        return [tensor(ids), tensor(starts).view(-1, 1)];
    }

    private TargetOutput AppendFused(
        KeyValueCache cache, TokenTrees trees, StepRows rows, IReadOnlyList<int> featureLayers, int count, bool capture)
    {
        var outputs = Fused!.Run(rows, [.. trees.Tokens.SelectMany(tokens => tokens)], cache, featureLayers, capture);   // [N,...]
        if (rows.Count < cache.Batch * count)
        {
            var places = new List<long>();
            for (var b = 0; b < cache.Batch; b++)
                for (var t = 0; t < trees.Tokens[b].Length; t++) places.Add(b * count + t);
            var index = tensor(places, device: _device);
            outputs = [.. outputs.Select(x => x.new_zeros(cache.Batch * count, x.shape[1]).index_copy_(0, index, x))];
        }
        Tensor[] shaped = [.. outputs.Select(x => x.view(cache.Batch, count, -1))];
        return new TargetOutput(shaped[0], shaped[^1]);
    }

    private int Group => _config.Heads / _config.KeyValueHeads;

    private Tensor Mask(Tensor masked, int group, long count, int keyValueLength) =>
        zeros(masked.shape, _dtype, _device).masked_fill_(masked, double.NegativeInfinity)
            .view(-1, 1, 1, count, keyValueLength)
            .expand(-1, 1, group, count, keyValueLength)
            .reshape(-1, 1, group * count, keyValueLength);

    private TargetOutput Run(Tensor ids, StepInputs step, KeyValueCache cache, IReadOnlyList<int> featureLayers)
    {
        var rows = Embed(ids);                                                                              // [N,D]
        Tensor BySequence(Tensor x) => x.view(cache.Batch, -1, x.shape[1]);
        if (featureLayers.Count == 0)
        {
            var hidden = BySequence(_script.Forward(rows, Weights.Layers, step, cache));                    // [B,T,D]
            return new TargetOutput(hidden, hidden);
        }
        var states = _script.States(rows, Weights.Layers, step, cache);
        var features = cat([.. featureLayers.Select(layer => states[layer])], -1);                          // [N,F]
        return new TargetOutput(BySequence(states[^1]), BySequence(features));
    }
}
