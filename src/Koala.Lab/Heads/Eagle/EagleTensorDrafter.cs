using Koala.Lab.Kernels;
using Koala.Lab.Runtime.Cuda;
using Koala.Lab.Targets;
using Koala.Lab.Targets.Fused;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Eagle;

/// <summary>
/// Drafts with an EAGLE head on a GPU: in kernels of our own where they serve, and else, as for the many pairs of a prompt, in libtorch's
/// operators. Both share the head's cache.
/// </summary>
/// <remarks>
/// In shapes B is the number of sequences, n the number of candidates per level, L the number of cache slots that
/// attention reads, and D the width.
/// </remarks>
internal sealed class EagleTensorDrafter : EagleDrafter
{
    // On a GPU the number of committed pairs is padded to a multiple of this: so few pairs all take the same time, and
    // each number of pairs would be another CUDA graph.
    private const int GpuPairs = 8;

    // A round commits fewer pairs than this. Only a prompt has more, and it is read once, so its work is not captured.
    private const int MaxCapturedPairs = 64;

    private readonly EagleWeights _weights;
    private readonly FusedEagle? _fused;
    private readonly DecoderScript _script;
    private readonly bool _rounded;
    private EagleMemory _memory;
    private EagleOutputs? _root;           // the outputs at the last committed pair of each sequence, [B,D]
    private EagleOutputs? _level;          // the outputs of the latest level, [B·n,D]
    private bool[][] _seen = [];           // for each node of the latest level, which of the round's slots it attends to
    private int _drafted;                  // the number of slots that the round has filled in each sequence

    public EagleTensorDrafter(EagleHead head, EagleWeights weights, FusedEagle? fused, Target target, int batch, int capacity)
        : base(head, target, batch)
    {
        using var scope = NewDisposeScope();
        _script = new DecoderScript(weights.Config);
        // These are the same tensors, or rounded ones if training left the head in another dtype.
        _weights = weights.To(target.Dtype);
        _rounded = weights.All[0].Value.dtype != target.Dtype;
        _fused = fused;
        foreach (var (_, tensor) in _weights.All) tensor.DetachFromDisposeScope();
        _memory = head.RentMemory(target, batch, capacity);
    }

    internal override Tensor Outputs => _level!.Value.Continued;

    public override void Extend(Tensor features, IReadOnlyList<int[]> tokens)
    {
        using var scope = NewDisposeScope();
        var longest = tokens.Max(t => t.Length) - 1;   // pairs
        var outputs = new List<EagleOutputs>();
        for (var b = 0; b < Batch; b++)
            if (tokens[b].Length == 0) Cache.Truncate(b, 0);
        _drafted = 0;
        // The pairs are read in chunks, as the target reads a prompt.
        for (int start = 0, count; start < longest; start += count)
        {
            count = Target.ChunkLength(longest - start);
            outputs.Add(ReadPairs(features, tokens, start, count));
            for (var b = 0; b < Batch; b++) Cache.Extend(b, Math.Clamp(tokens[b].Length - 1 - start, 0, count));
        }
        var last = OnDevice([.. tokens.Select((t, b) => (long)b * longest + Math.Max(t.Length - 2, 0))]);
        _root?.Dispose();
        _root = EagleOutputs.Join(outputs)
            .Each(all => all.reshape(Batch * longest, -1).index_select(0, last).DetachFromDisposeScope());
    }

    public override Tensor First()
    {
        _drafted = 0;
        _seen = [.. Enumerable.Repeat<bool[]>([], Batch)];
        SetLevel(_root!.Value.Each(root => root.alias()));
        return Logits(_level!.Value);
    }

    public override Tensor Next(IReadOnlyList<int[]> tokens, IReadOnlyList<int[]> parents)
    {
        using var scope = NewDisposeScope();
        var count = tokens[0].Length;               // n
        var parentCount = _seen.Length / Batch;     // n of the level before
        EnsureRoom(count);
        var ids = new int[Batch * count];
        var parentRows = new int[Batch * count];
        var seen = new bool[Batch * count][];
        for (var b = 0; b < Batch; b++)
        {
            for (var i = 0; i < count; i++)
            {
                var node = b * count + i;
                ids[node] = tokens[b][i];
                parentRows[node] = b * parentCount + parents[b][i];
                // A node attends to what its parent attends to, and to itself.
                var nodeSeen = new bool[_drafted + count];
                _seen[parentRows[node]].CopyTo(nodeSeen, 0);
                nodeSeen[_drafted + i] = true;
                seen[node] = nodeSeen;
            }
        }
        var outputs = Serves(ids.Length) ? RunFused("level", LevelRows(seen), ids, _level!.Value.Continued, parentRows)
            : Run("level", count, ids, Inputs(parentRows, parentCount), LevelAttention(seen));
        _seen = seen;
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
        return (Serves(Batch) ? FusedChain(length) : TensorChain(length)).MoveToOuterDisposeScope();
    }

    protected override void Dispose(bool disposing)
    {
        foreach (var (_, tensor) in _weights.All) tensor.Dispose();
        Head.ReturnMemory(_memory);
        _root?.Dispose();
        _level?.Dispose();
        base.Dispose(disposing);
    }

    private KeyValueCache Cache => _memory.Cache;

    // Whether kernels of our own compute so many rows.
    private bool Serves(int rows) => _fused is not null && rows <= FusedLayers.MostRows;

    // The chains, [B,length], on the host.
    private Tensor FusedChain(int length)
    {
        var rows = new StepRows();
        // The first level that is computed moves on from the last committed pair to the slot behind it.
        for (var b = 0; b < Batch; b++) rows.AddCausal(b, Cache.Lengths[b] - 1);
        var described = RowDescriptions.Create(rows, new int[Batch], 0, Batch, [.. Enumerable.Range(0, Batch)]);
        var longest = KeyValueLength(length);
        var outputs = Cache.Graphs.Run(new GraphKey("fused chain", length, longest), [described, .. _root!.Value.Tensors],
            x => [_fused!.Chain(EagleOutputs.Of(x[1..]), x[0], length, longest, Cache)]);
        var keys = outputs[0].cpu().data<long>().ToArray();
        var chains = new long[Batch * length];
        for (var i = 0; i < chains.Length; i++)
        {
            var best = BestKey.Index(keys[i % length * Batch + i / length]);
            if (best == BestTokens.None) throw NotFinite();
            chains[i] = Vocabulary is null ? best : Vocabulary.Tokens[best];
        }
        return tensor(chains).view(Batch, length);
    }

    private Tensor TensorChain(int length)
    {
        var keyValueLength = KeyValueLength(length);
        // This work is captured, so nothing in it may depend on what the host knows about the round.
        Tensor[] Chain(Tensor[] x)
        {
            var (level, slots) = (EagleOutputs.Of(x[1..]), x[0]);
            var chosen = new List<Tensor>();
            for (var depth = 0; depth < length; depth++)
            {
                if (depth > 0)
                {
                    level = Layers(chosen[^1], level.Continued, Causal(slots, keyValueLength));
                    slots = slots + 1;
                }
                var best = Logits(level).argmax(-1);
                chosen.Add(Head.ToTargetIds(best));
            }
            return [stack(chosen, 1), level.Continued.alias()];
        }
        var outputs = RunCaptured(new GraphKey("chain", length, keyValueLength), [NextSlots(1), .. _root!.Value.Tensors], Chain);
        // What is not finite stays so in the levels after it, so the last one tells.
        if (!BestTokens.AreFinite(outputs[1])) throw NotFinite();
        return outputs[0].cpu();
    }

    // The features of the parents, [B·n,D].
    private Tensor Inputs(int[] parentRows, int parentCount)
    {
        var level = _level!.Value.Continued;
        return Batch * parentCount == 1
            ? level.expand(parentRows.Length, -1)
            : level.index_select(0, OnDevice([.. parentRows.Select(row => (long)row)]));
    }

    // Where the nodes of a level stand, for kernels of our own.
    private StepRows LevelRows(bool[][] seen)
    {
        var rows = new StepRows();
        var count = seen.Length / Batch;
        for (var node = 0; node < seen.Length; node++)
        {
            var committed = Cache.Lengths[node / count];
            int[] path = [.. Enumerable.Range(0, seen[node].Length).Where(slot => seen[node][slot]).Select(slot => committed + slot)];
            rows.Add(node / count, path[^1], committed + path.Length - 1, new VisibleSlots(committed, path));
        }
        return rows;
    }

    // The same for libtorch. Each level is one position further than the level before it.
    private AttentionInputs LevelAttention(bool[][] seen)
    {
        var count = seen.Length / Batch;
        var keyValueLength = KeyValueLength(count);
        var positions = new long[seen.Length];
        var masked = new bool[seen.Length * keyValueLength];
        for (var node = 0; node < seen.Length; node++)
        {
            var committed = Cache.Lengths[node / count];
            positions[node] = committed + seen[node].Count(x => x) - 1;
            var row = masked.AsSpan(node * keyValueLength + committed, keyValueLength - committed);
            row.Fill(true);
            for (var slot = 0; slot < seen[node].Length; slot++) row[slot] = !seen[node][slot];
        }
        return new AttentionInputs(
            tensor(positions).view(Batch, count), NextSlots(count), tensor(masked).view(Batch, count, keyValueLength), keyValueLength);
    }

    // Where the T inputs of each sequence go and what they attend to: positions and slots [B,T], masked slots [B,T,L].
    private readonly record struct AttentionInputs(Tensor Positions, Tensor Slots, Tensor Masked, int KeyValueLength);

    // Each input stands at the position of its slot and attends to all slots up to its own.
    private AttentionInputs Causal(Tensor slots, int keyValueLength) =>
        new(slots, slots, _memory.Slots.narrow(0, 0, keyValueLength) > slots.unsqueeze(-1), keyValueLength);

    // Runs the head over a chunk of the committed pairs: features [B,T,F] with the tokens after them. Returns the
    // outputs, [B,count,D].
    private EagleOutputs ReadPairs(Tensor features, IReadOnlyList<int[]> tokens, int start, int count)
    {
        var width = PaddedWidth(count);
        var ids = new int[Batch * width];
        for (var b = 0; b < Batch; b++)
        {
            // The token of a pair is the one after its feature.
            var length = Math.Clamp(tokens[b].Length - 1 - start, 0, count);
            for (var t = 0; t < length; t++) ids[b * width + t] = tokens[b][start + t + 1];
        }
        EnsureRoom(width);
        var inputs = _weights.Fuse(features.narrow(1, start, count).flatten(0, 1)).view(Batch, count, -1);
        if (width > count) inputs = nn.functional.pad(inputs, [0, 0, 0, width - count]);
        inputs = inputs.flatten(0, 1);
        var outputs = Serves(ids.Length) ? RunFused("pairs", PairRows(width), ids, inputs, [.. Enumerable.Range(0, ids.Length)])
            : Run("pairs", width, ids, inputs, Causal(NextSlots(width).to(Target.Device), KeyValueLength(width)));
        return outputs.Each(x => x.view(Batch, width, -1).narrow(1, 0, count));
    }

    private StepRows PairRows(int width)
    {
        var rows = new StepRows();
        for (var b = 0; b < Batch; b++)
            for (var t = 0; t < width; t++) rows.AddCausal(b, Cache.Lengths[b] + t);
        return rows;
    }

    // Runs pairs through all layers in kernels of our own: embeddings of ids, and those of the features that the rows are given.
    private EagleOutputs RunFused(string work, StepRows rows, int[] ids, Tensor features, int[] given)
    {
        var described = RowDescriptions.Create(rows, ids, 0, ids.Length, given);
        var longest = KeyValueLength(ids.Length / Batch);
        // The features of a level are those of the level before, which may have another number of rows.
        var key = new GraphKey($"fused {work} {features.shape[0]}", ids.Length, longest);
        return EagleOutputs.Of(Cache.Graphs.Run(key, [described, features.contiguous()],
            x => _fused!.Run(x[0], x[1], longest, Cache).Tensors));
    }

    // Runs pairs of the embeddings of ids [B·T] and features [B·T,D] through all layers.
    private EagleOutputs Run(string work, int count, int[] ids, Tensor features, AttentionInputs attention)
    {
        var keyValueLength = attention.KeyValueLength;
        Tensor[] Forward(Tensor[] x) => Layers(x[0], x[1], new AttentionInputs(x[2], x[3], x[4], keyValueLength)).Tensors;
        Tensor[] inputs =
            [tensor(ids.Select(id => (long)id).ToArray()), features, attention.Positions, attention.Slots, attention.Masked];
        return EagleOutputs.Of(count <= MaxCapturedPairs
            ? RunCaptured(new GraphKey(work, count, keyValueLength), inputs, Forward)
            : Forward([.. inputs.Select(x => x.to(Target.Device))]));
    }

    private EagleOutputs Layers(Tensor ids, Tensor features, AttentionInputs attention)
    {
        var pairs = cat([Target.Model.Embed(ids), features], 1);
        var config = _weights.Config;
        var inputs = Target.Model.Inputs(Head.Rotations(attention.Positions, Target), config.Heads / config.KeyValueHeads,
            Cache.Slots(attention.Slots), attention.Masked, attention.KeyValueLength);
        var options = _weights.Options;
        var continued = _weights.Continued(options.IsEagle3
            ? _script.Eagle3Forward(pairs, _weights.Stack, options.NormBeforeResidual, inputs, Cache)
            : _script.HeadForward(pairs, _weights.Stack, options.Bias, inputs, Cache));
        return new EagleOutputs(continued, _weights.BeforeLmHead(continued));
    }

    private Tensor Logits(EagleOutputs outputs) =>
        _fused?.Logits(outputs.BeforeLmHead) ?? Head.Logits(_weights, outputs.BeforeLmHead, Target);

    // Rounded weights are disposed with this drafter, but captured graphs serve the next drafter too. So work with
    // rounded weights is not captured.
    private Tensor[] RunCaptured(GraphKey key, Tensor[] inputs, Func<Tensor[], Tensor[]> work) =>
        _rounded ? work([.. inputs.Select(x => x.to(Target.Device))]) : Cache.Graphs.Run(key, inputs, work);

    private void SetLevel(EagleOutputs outputs)
    {
        _level?.Dispose();
        _level = outputs.Each(tensor => tensor.DetachFromDisposeScope());
    }

    // The next free slots of each sequence, [B,count], on the host.
    private Tensor NextSlots(int count)
    {
        var slots = Cache.Lengths.SelectMany(length => Enumerable.Range(length + _drafted, count)).Select(slot => (long)slot);
        return tensor(slots.ToArray()).view(Batch, count);
    }

    private int KeyValueLength(int count) => TargetModel.KeyValueLength(Cache, Cache.Lengths.Max() + _drafted + count);

    private int PaddedWidth(int count)
    {
        if (Target.Device.type != DeviceType.CUDA || count > MaxCapturedPairs) return count;
        return (count + GpuPairs - 1) / GpuPairs * GpuPairs;
    }

    private Tensor OnDevice(long[] values) => tensor(values, device: Target.Device);

    private void EnsureRoom(int count) => _memory = _memory.WithRoom(_drafted, count, Target, Head.Options.Layers);
}
