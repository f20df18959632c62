using Koala.Lab.Kernels;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Eagle;

/// <summary>Drafts with an EAGLE head on a CPU, in the kernels that compute the target.</summary>
/// <remarks>
/// In shapes B is the number of sequences, n the number of candidates per level, F the width of the features, D the width.
/// </remarks>
internal sealed unsafe class EagleCpuDrafter : EagleDrafter
{
    private readonly EagleCpuWeights _weights;
    private readonly CpuTarget _cpu;
    private readonly PanelMatrix _lmHead;
    private readonly Tensor _root;         // the output at the last committed pair of each sequence, [B,D]
    private readonly ScratchBuffer _features = new();
    private readonly ScratchBuffer _pairs = new();
    private readonly ScratchBuffer _normed = new();
    private readonly ScratchBuffer _logits = new();
    private EagleMemory _memory;
    private Tensor? _level;                // the outputs of the latest level, [B·n,D]
    private VisibleSlots[] _visible = [];  // what each node of the latest level attends to
    private int _drafted;                  // the number of slots that the round has filled in each sequence

    public EagleCpuDrafter(EagleHead head, EagleCpuWeights weights, Target target, int batch, int capacity) : base(head, target, batch)
    {
        (_weights, _cpu) = (weights, target.Model.Cpu!);
        _lmHead = head.PackedLmHead(weights, _cpu);
        _root = zeros(batch, Width).DetachFromDisposeScope();
        _memory = head.RentMemory(target, batch, capacity);
    }

    internal override Tensor Outputs => _level!;

    public override void Extend(Tensor features, IReadOnlyList<int[]> tokens)
    {
        using var scope = NewDisposeScope();
        var longest = tokens.Max(t => t.Length) - 1;   // pairs
        _drafted = 0;
        // The pairs are read in chunks, as the target reads a prompt.
        for (int start = 0, count; start < longest; start += count)
        {
            count = Target.ChunkLength(longest - start);
            ReadPairs(features, tokens, start, count);
        }
    }

    public override void Forget(int sequence) => Cache.Truncate(sequence, 0);

    public override Tensor First()
    {
        _drafted = 0;
        _visible = [.. Cache.Lengths.Select(length => new VisibleSlots(length, []))];
        SetLevel(_root.clone());
        return Logits(_root);
    }

    public override Tensor Next(IReadOnlyList<int[]> tokens, IReadOnlyList<int[]> parents)
    {
        using var scope = NewDisposeScope();
        var count = tokens[0].Length;                  // n
        var parentCount = _visible.Length / Batch;     // n of the level before
        EnsureRoom(count);
        var rows = new StepRows();
        var (visible, parentRows) = (new VisibleSlots[Batch * count], new int[Batch * count]);
        for (var b = 0; b < Batch; b++)
        {
            for (var i = 0; i < count; i++)
            {
                var node = b * count + i;
                parentRows[node] = b * parentCount + parents[b][i];
                var slot = Cache.Lengths[b] + _drafted + i;
                // A node attends to what its parent attends to, and to itself. Each level is one position further than the one before.
                visible[node] = StepRows.Extend(_visible[parentRows[node]], slot);
                rows.Add(b, slot, visible[node].Count - 1, visible[node]);
            }
        }
        var outputs = Run(rows, [.. tokens.SelectMany(ids => ids)], row => Level + (long)parentRows[row] * Width);
        _visible = visible;
        _drafted += count;
        SetLevel(outputs);
        return Logits(outputs).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor GreedyChain(int length)
    {
        using var scope = NewDisposeScope();
        _drafted = 0;
        EnsureRoom(length);
        var chosen = new long[Batch * length];
        var tokens = new int[Batch];
        SetLevel(_root.clone());
        for (var depth = 0; depth < length; depth++)
        {
            if (depth > 0)
            {
                var rows = new StepRows();
                for (var b = 0; b < Batch; b++) rows.AddCausal(b, Cache.Lengths[b] + depth - 1);
                SetLevel(Run(rows, tokens, row => Level + (long)row * Width));
            }
            var logits = _logits.Reserve((long)Batch * _lmHead.Outputs);
            _cpu.Decoder.Multiply(_lmHead, BeforeLmHead(Level, Batch), Batch, logits);
            for (var b = 0; b < Batch; b++)
            {
                var best = BestTokens.Of(new ReadOnlySpan<float>(logits + (long)b * _lmHead.Outputs, _lmHead.Outputs));
                if (best == BestTokens.None) throw NotFinite();
                tokens[b] = Vocabulary is { } vocabulary ? vocabulary.Tokens[best] : best;
                chosen[b * length + depth] = tokens[b];
            }
        }
        return tensor(chosen).view(Batch, length).MoveToOuterDisposeScope();
    }

    protected override void Dispose(bool disposing)
    {
        Head.ReturnMemory(_memory);
        _root.Dispose();
        _level?.Dispose();
        foreach (var buffer in (ScratchBuffer[])[_features, _pairs, _normed, _logits]) buffer.Dispose();
        base.Dispose(disposing);
    }

    private delegate float* FeatureOf(int row);

    private KeyValueCache Cache => _memory.Cache;

    private int Width => Target.Config.HiddenSize;

    private float* Level => HostMemory.Floats(_level!);

    // Runs the head over a chunk of the committed pairs: features [B,T,F] with the tokens after them.
    private void ReadPairs(Tensor features, IReadOnlyList<int[]> tokens, int start, int count)
    {
        using var scope = NewDisposeScope();
        int Read(int b) => Math.Clamp(tokens[b].Length - 1 - start, 0, count);
        // A prompt may be read while another sequence is long, so what counts is the longest sequence afterwards.
        EnsureRoom(Cache.Lengths.Select((length, b) => length + Read(b)).Max() - Cache.Lengths.Max());
        var chunk = features.narrow(1, start, count).contiguous();
        var rows = new StepRows();
        var (ids, places) = (new List<int>(), new List<int>());
        for (var b = 0; b < Batch; b++)
        {
            for (var t = 0; t < Read(b); t++)
            {
                rows.AddCausal(b, Cache.Lengths[b] + t);
                // The token of a pair is the one after its feature.
                ids.Add(tokens[b][start + t + 1]);
                places.Add(b * count + t);
            }
        }
        var fused = Fuse(HostMemory.Floats(chunk), (int)chunk.shape[2], places);
        var outputs = HostMemory.Floats(Run(rows, ids, row => fused + (long)row * Width));
        for (int b = 0, row = 0; b < Batch; b++)
        {
            var read = Read(b);
            if (read == 0) continue;
            Cache.Extend(b, read);
            row += read;
            Copy(outputs + (long)(row - 1) * Width, HostMemory.Floats(_root) + (long)b * Width);
        }
    }

    // The features that fc takes, [N,D], from some rows of the target's features; see EagleWeights.Fuse.
    private float* Fuse(float* features, int featureWidth, List<int> places)
    {
        var joined = _features.Reserve((long)places.Count * (featureWidth + Width));
        for (var row = 0; row < places.Count; row++)
        {
            var from = features + (long)places[row] * featureWidth;
            var to = joined + (long)row * featureWidth;
            if (_weights.FuseNorm is not null) Norm(from, _weights.FuseNorm, featureWidth, to);
            else for (var i = 0; i < featureWidth / Width; i++)
            {
                var offset = (long)i * Width;
                if (_weights.Fuse is null || _weights.Options is { IsEagle3: true, FeatureNorms: false }) Copy(from + offset, to + offset);
                else Norm(from + offset, _weights.FeatureNorm(i), Width, to + offset);
            }
        }
        if (_weights.Fuse is null) return joined;
        var fused = joined + (long)places.Count * featureWidth;
        _cpu.Decoder.Multiply(_weights.Fuse, joined, places.Count, fused);
        return fused;
    }

    // Runs pairs of tokens' embeddings and features through all layers. Returns the outputs, [N,D].
    private Tensor Run(StepRows rows, IReadOnlyList<int> ids, FeatureOf feature)
    {
        var pairs = _pairs.Reserve((long)rows.Count * 2 * Width);
        _cpu.Embed(ids, pairs, 2 * Width);
        var outputs = empty(rows.Count, Width);
        var x = HostMemory.Floats(outputs);
        if (_weights.Options.IsEagle3)
        {
            NormPairs(rows.Count, feature, pairs, x);
            _weights.Decoder.Run(_weights.Layers, x, rows, Cache, read: pairs);
            if (_weights.Options.NormOutput)
                for (var row = 0; row < rows.Count; row++) Norm(x + (long)row * Width, _weights.Norm, Width, x + (long)row * Width);
            return outputs;
        }
        for (var row = 0; row < rows.Count; row++) Copy(feature(row), pairs + (2L * row + 1) * Width);
        _cpu.Decoder.Multiply(_weights.Fc!, pairs, rows.Count, x);
        if (_weights.FcBias is not null)
            for (var row = 0; row < rows.Count; row++) RowKernels.Add(x + (long)row * Width, _weights.FcBias, Width);
        _weights.Decoder.Run(_weights.Layers, x, rows, Cache);
        return outputs;
    }

    // EAGLE-3: the norms of embedding and feature side by side, [N,2D], and the residual of the first layer, [N,D].
    private void NormPairs(int count, FeatureOf feature, float* pairs, float* residual)
    {
        for (var row = 0; row < count; row++)
        {
            var pair = pairs + 2L * row * Width;
            var from = feature(row);
            Norm(pair, _weights.EmbeddingNorm, Width, pair);
            Norm(from, _weights.HiddenNorm, Width, pair + Width);
            Copy(_weights.Options.NormBeforeResidual ? pair + Width : from, residual + (long)row * Width);
        }
    }

    // What the LM head gets for so many outputs; see EagleWeights.BeforeLmHead.
    private float* BeforeLmHead(float* outputs, int count)
    {
        if (_weights.Norm is null || _weights.Options.NormOutput) return outputs;
        var normed = _normed.Reserve((long)count * Width);
        for (var row = 0L; row < count; row++) Norm(outputs + row * Width, _weights.Norm, Width, normed + row * Width);
        return normed;
    }

    private Tensor Logits(Tensor outputs)
    {
        var count = (int)outputs.shape[0];
        var logits = empty(count, _lmHead.Outputs);
        _cpu.Decoder.Multiply(_lmHead, BeforeLmHead(HostMemory.Floats(outputs), count), count, HostMemory.Floats(logits));
        return logits;
    }

    private void Norm(float* x, float* weight, int width, float* to) => RowKernels.Norm(x, weight, _weights.Epsilon, width, to);

    private void Copy(float* from, float* to) => new ReadOnlySpan<float>(from, Width).CopyTo(new Span<float>(to, Width));

    private void SetLevel(Tensor outputs)
    {
        _level?.Dispose();
        _level = outputs.DetachFromDisposeScope();
    }

    private void EnsureRoom(int count) => _memory = _memory.WithRoom(_drafted, count, Target, Head.Options.Layers);
}
