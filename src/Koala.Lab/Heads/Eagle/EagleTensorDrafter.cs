using Koala.Lab.Runtime.Cuda;
using Koala.Lab.Targets;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Eagle;

/// <summary>Drafts with an EAGLE head in libtorch's operators: on a GPU.</summary>
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
    private readonly DecoderScript _script;
    private readonly bool _rounded;
    private EagleMemory _memory;
    private Tensor? _root;                 // the output at the last committed pair of each sequence, [B,D]
    private Tensor? _level;                // the outputs of the latest level, [B·n,D]
    private bool[][] _seen = [];           // for each node of the latest level, which of the round's slots it attends to
    private int _drafted;                  // the number of slots that the round has filled in each sequence

    public EagleTensorDrafter(EagleHead head, EagleWeights weights, Target target, int batch, int capacity) : base(head, target, batch)
    {
        using var scope = NewDisposeScope();
        _script = new DecoderScript(weights.Config);
        // These are the same tensors, or rounded ones if training left the head in another dtype.
        _weights = weights.To(target.Dtype);
        _rounded = weights.All[0].Value.dtype != target.Dtype;
        foreach (var (_, tensor) in _weights.All) tensor.DetachFromDisposeScope();
        _memory = head.RentMemory(target, batch, capacity);
    }

    internal override Tensor Outputs => _level!;

    public override void Extend(Tensor features, IReadOnlyList<int[]> tokens)
    {
        using var scope = NewDisposeScope();
        var longest = tokens.Max(t => t.Length) - 1;   // pairs
        var outputs = new List<Tensor>();
        _drafted = 0;
        // The pairs are read in chunks, as the target reads a prompt.
        for (int start = 0, count; start < longest; start += count)
        {
            count = Target.ChunkLength(longest - start);
            outputs.Add(ReadPairs(features, tokens, start, count));
            for (var b = 0; b < Batch; b++) Cache.Extend(b, Math.Clamp(tokens[b].Length - 1 - start, 0, count));
        }
        var all = outputs.Count == 1 ? outputs[0] : cat(outputs, 1);
        var last = OnDevice([.. tokens.Select((t, b) => (long)b * longest + Math.Max(t.Length - 2, 0))]);
        var root = all.reshape(Batch * longest, -1).index_select(0, last);
        if (_root is not null && tokens.Any(t => t.Length == 0))
        {
            var isRead = tensor(tokens.Select(t => t.Length > 0).ToArray(), device: Target.Device);
            root = where(isRead.unsqueeze(1), root, _root);
        }
        _root?.Dispose();
        _root = root.DetachFromDisposeScope();
    }

    public override void Forget(int sequence) => Cache.Truncate(sequence, 0);

    public override Tensor First()
    {
        _drafted = 0;
        _seen = [.. Enumerable.Repeat<bool[]>([], Batch)];
        SetLevel(_root!.alias());
        return Logits(_root!);
    }

    public override Tensor Next(IReadOnlyList<int[]> tokens, IReadOnlyList<int[]> parents)
    {
        using var scope = NewDisposeScope();
        var count = tokens[0].Length;               // n
        var parentCount = _seen.Length / Batch;     // n of the level before
        EnsureRoom(count);
        var keyValueLength = KeyValueLength(count);
        var ids = new long[Batch * count];
        var parentRows = new long[Batch * count];
        var positions = new long[Batch * count];
        var seen = new bool[Batch * count][];
        var masked = new bool[Batch * count * keyValueLength];
        for (var b = 0; b < Batch; b++)
        {
            var committed = Cache.Lengths[b];
            for (var i = 0; i < count; i++)
            {
                var node = b * count + i;
                ids[node] = tokens[b][i];
                parentRows[node] = b * parentCount + parents[b][i];
                // A node attends to what its parent attends to, and to itself.
                var nodeSeen = new bool[_drafted + count];
                _seen[(int)parentRows[node]].CopyTo(nodeSeen, 0);
                nodeSeen[_drafted + i] = true;
                seen[node] = nodeSeen;
                // Each level is one position further than the level before it.
                positions[node] = committed + nodeSeen.Count(x => x) - 1;
                var row = masked.AsSpan(node * keyValueLength + committed, keyValueLength - committed);
                row.Fill(true);
                for (var slot = 0; slot < nodeSeen.Length; slot++) row[slot] = !nodeSeen[slot];
            }
        }
        var inputs = Batch * parentCount == 1 ? _level!.expand(count, -1) : _level!.index_select(0, OnDevice(parentRows));
        var attention = new AttentionInputs(
            tensor(positions).view(Batch, count), NextSlots(count), tensor(masked).view(Batch, count, keyValueLength), keyValueLength);
        var outputs = Run("level", count, ids, inputs, attention);
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
        var keyValueLength = KeyValueLength(length);
        // This work is captured, so nothing in it may depend on what the host knows about the round.
        Tensor[] Chain(Tensor[] x)
        {
            var (level, slots) = (x[0], x[1]);
            var chosen = new List<Tensor>();
            for (var depth = 0; depth < length; depth++)
            {
                if (depth > 0)
                {
                    level = Layers(chosen[^1], level, Causal(slots, keyValueLength));
                    slots = slots + 1;
                }
                var best = Logits(level).argmax(-1);
                chosen.Add(Head.ToTargetIds(best));
            }
            return [stack(chosen, 1), level.alias()];
        }
        var outputs = RunCaptured(new GraphKey("chain", length, keyValueLength), [_root!, NextSlots(1)], Chain);
        var chain = outputs[0].cpu();
        // What is not finite stays so in the levels after it, so the last one tells.
        if (!BestTokens.AreFinite(outputs[1])) throw NotFinite();
        return chain.MoveToOuterDisposeScope();
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

    // Where the T inputs of each sequence go and what they attend to: positions and slots [B,T], masked slots [B,T,L].
    private readonly record struct AttentionInputs(Tensor Positions, Tensor Slots, Tensor Masked, int KeyValueLength);

    // Each input stands at the position of its slot and attends to all slots up to its own.
    private AttentionInputs Causal(Tensor slots, int keyValueLength) =>
        new(slots, slots, _memory.Slots.narrow(0, 0, keyValueLength) > slots.unsqueeze(-1), keyValueLength);

    // Runs the head over a chunk of the committed pairs: features [B,T,F] with the tokens after them. Returns the
    // outputs, [B,count,D].
    private Tensor ReadPairs(Tensor features, IReadOnlyList<int[]> tokens, int start, int count)
    {
        var width = PaddedWidth(count);
        var ids = new long[Batch * width];
        for (var b = 0; b < Batch; b++)
        {
            // The token of a pair is the one after its feature.
            var length = Math.Clamp(tokens[b].Length - 1 - start, 0, count);
            for (var t = 0; t < length; t++) ids[b * width + t] = tokens[b][start + t + 1];
        }
        EnsureRoom(width);
        var inputs = _weights.Fuse(features.narrow(1, start, count).flatten(0, 1)).view(Batch, count, -1);
        if (width > count) inputs = nn.functional.pad(inputs, [0, 0, 0, width - count]);
        var attention = Causal(NextSlots(width).to(Target.Device), KeyValueLength(width));
        var outputs = Run("pairs", width, ids, inputs.flatten(0, 1), attention);
        return outputs.view(Batch, width, -1).narrow(1, 0, count);
    }

    // Runs pairs of the embeddings of ids [B·T] and features [B·T,D] through all layers.
    private Tensor Run(string work, int count, long[] ids, Tensor features, AttentionInputs attention)
    {
        var keyValueLength = attention.KeyValueLength;
        Tensor[] Forward(Tensor[] x) => [Layers(x[0], x[1], new AttentionInputs(x[2], x[3], x[4], keyValueLength))];
        Tensor[] inputs = [tensor(ids), features, attention.Positions, attention.Slots, attention.Masked];
        var outputs = count <= MaxCapturedPairs
            ? RunCaptured(new GraphKey(work, count, keyValueLength), inputs, Forward)
            : Forward([.. inputs.Select(x => x.to(Target.Device))]);
        return outputs[0];
    }

    private Tensor Layers(Tensor ids, Tensor features, AttentionInputs attention)
    {
        var pairs = cat([Target.Model.Embed(ids), features], 1);
        var config = _weights.Config;
        var inputs = Target.Model.Inputs(Head.Rotations(attention.Positions, Target), config.Heads / config.KeyValueHeads,
            Cache.Slots(attention.Slots), InWindow(attention), attention.KeyValueLength);
        var options = _weights.Options;
        return _weights.Continued(options.IsEagle3
            ? _script.Eagle3Forward(pairs, _weights.Stack, options.NormBeforeResidual, inputs, Cache)
            : _script.HeadForward(pairs, _weights.Stack, options.Bias, inputs, Cache));
    }

    // What is masked, and what lies before the window. A committed pair's slot is its position; candidates, whose slots come after those,
    // are always in the window, which is at least as long as a draft.
    private Tensor InWindow(AttentionInputs attention)
    {
        if (_weights.Options.Window is not { } window) return attention.Masked;
        var slots = _memory.Slots.narrow(0, 0, attention.KeyValueLength);
        return attention.Masked.logical_or(slots <= attention.Positions.unsqueeze(-1) - window);
    }

    private Tensor Logits(Tensor continued) => Head.Logits(_weights, _weights.BeforeLmHead(continued), Target);

    // Rounded weights are disposed with this drafter, but captured graphs serve the next drafter too. So work with
    // rounded weights is not captured.
    private Tensor[] RunCaptured(GraphKey key, Tensor[] inputs, Func<Tensor[], Tensor[]> work) =>
        _rounded ? work([.. inputs.Select(x => x.to(Target.Device))]) : Cache.Graphs.Run(key, inputs, work);

    private void SetLevel(Tensor outputs)
    {
        _level?.Dispose();
        _level = outputs.DetachFromDisposeScope();
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
