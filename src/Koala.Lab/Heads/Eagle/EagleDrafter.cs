using Koala.Lab.Drafting;
using Koala.Lab.Runtime.Cuda;
using Koala.Lab.Targets;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Eagle;

/// <summary>Drafts with an EAGLE head: over the committed pairs first, then level after level from its own outputs.</summary>
/// <remarks>
/// Its cache holds the committed pairs of each sequence. Behind them a round's candidates stand, level by level, until committed pairs overwrite them:
/// nothing that came of the head's own features stays. B sequences, n candidates a level, L cache slots seen, D width.
/// </remarks>
internal sealed class EagleDrafter : LevelDrafter
{
    // On a GPU a few committed pairs cost what these cost, and each number of them would be another recording.
    private const int GpuPairs = 8;

    // More pairs than a round commits: a prompt, which is read once.
    private const int MostRecorded = 64;

    private readonly EagleHead _head;
    private readonly Target _target;
    private readonly EagleWeights _weights;
    private readonly DecoderScript _script;
    private readonly bool _rounded;
    private EagleMemory _memory;
    private Tensor? _root;                 // output at each last committed pair, [B,D]
    private Tensor? _level;                // outputs of the level before, [B·n,D]
    private bool[][] _seen = [];           // of each of its nodes, the round's slots that it sees
    private int _drafted;                  // slots of the round so far, in each sequence

    public EagleDrafter(EagleHead head, EagleWeights weights, Target target, int batch, int capacity)
    {
        using var scope = NewDisposeScope();
        (_head, _target, Batch) = (head, target, batch);
        _script = new DecoderScript(target.Config, target.Dtype, target.Device);
        // The same tensors, or rounded ones, where training left the head in another dtype.
        _weights = weights.To(target.Dtype);
        _rounded = weights["fc"].dtype != target.Dtype;
        foreach (var (_, tensor) in _weights.All) tensor.DetachFromDisposeScope();
        _memory = head.RentMemory(target, batch, capacity);
    }

    public override int MaxDraftLength => _head.MaxDraftLength;

    public override int Batch { get; }

    public override DraftVocabulary? Vocabulary => _head.Vocabulary;

    /// <summary>The outputs behind the logits that were asked for last, [B·n,D].</summary>
    internal Tensor Outputs => _level!;

    public override void Extend(Tensor features, IReadOnlyList<int[]> tokens)
    {
        using var scope = NewDisposeScope();
        var (longest, outputs) = (tokens.Max(t => t.Length) - 1, new List<Tensor>());
        for (var b = 0; b < Batch; b++)
            if (tokens[b].Length == 0) Cache.Truncate(b, 0);
        _drafted = 0;
        // In chunks, as the target reads a prompt.
        for (int start = 0, count; start < longest; start += count)
        {
            count = Target.ChunkLength(longest - start);
            var width = Width(count);
            var ids = new long[Batch * width];
            for (var b = 0; b < Batch; b++)
                for (var t = 0; t < count && start + t + 1 < tokens[b].Length; t++) ids[b * width + t] = tokens[b][start + t + 1];
            EnsureRoom(width);
            var keyValueLength = Limit(width);
            var inputs = _weights.Fuse(features.narrow(1, start, count).flatten(0, 1)).view(Batch, count, -1);
            if (width > count) inputs = nn.functional.pad(inputs, [0, 0, 0, width - count]);
            var places = Places(width).to(_target.Device);
            var made = Run("pairs", width, ids, inputs.flatten(0, 1), places, places, _memory.Slots.narrow(0, 0, keyValueLength) > places.unsqueeze(-1), keyValueLength);
            outputs.Add(made.view(Batch, width, -1).narrow(1, 0, count));
            for (var b = 0; b < Batch; b++) Cache.Extend(b, Math.Clamp(tokens[b].Length - 1 - start, 0, count));
        }
        var all = outputs.Count == 1 ? outputs[0] : cat(outputs, 1);
        var last = tensor(tokens.Select((t, b) => (long)b * longest + Math.Max(t.Length - 2, 0)).ToArray(), device: _target.Device);
        _root?.Dispose();
        _root = all.reshape(Batch * longest, -1).index_select(0, last).DetachFromDisposeScope();
    }

    public override Tensor First()
    {
        _drafted = 0;
        _seen = [.. Enumerable.Repeat<bool[]>([], Batch)];
        Keep(_root!.alias());
        return _head.Logits(_root!, _target);
    }

    public override Tensor Next(IReadOnlyList<int[]> tokens, IReadOnlyList<int[]> parents)
    {
        using var scope = NewDisposeScope();
        var (count, before) = (tokens[0].Length, _seen.Length / Batch);
        EnsureRoom(count);
        var keyValueLength = Limit(count);
        var (ids, from, positions) = (new long[Batch * count], new long[Batch * count], new long[Batch * count]);
        var (seen, masked) = (new bool[Batch * count][], new bool[Batch * count * keyValueLength]);
        for (var b = 0; b < Batch; b++)
        {
            for (var i = 0; i < count; i++)
            {
                var (node, committed) = (b * count + i, Cache.Lengths[b]);
                (ids[node], from[node]) = (tokens[b][i], b * before + parents[b][i]);
                var line = new bool[_drafted + count];
                _seen[(int)from[node]].CopyTo(line, 0);
                line[_drafted + i] = true;
                seen[node] = line;
                // A level is one deeper than the one before, and so are the places that its nodes guess.
                positions[node] = committed + line.Count(x => x) - 1;
                var row = masked.AsSpan(node * keyValueLength + committed, keyValueLength - committed);
                row.Fill(true);
                for (var slot = 0; slot < line.Length; slot++) row[slot] = !line[slot];
            }
        }
        var inputs = Batch * before == 1 ? _level!.expand(count, -1) : _level!.index_select(0, OnDevice(from));
        var outputs = Run("level", count, ids, inputs, tensor(positions).view(Batch, count), Places(count), tensor(masked).view(Batch, count, keyValueLength), keyValueLength);
        _seen = seen;
        _drafted += count;
        Keep(outputs);
        return _head.Logits(outputs, _target).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor GreedyChain(int length)
    {
        using var scope = NewDisposeScope();
        _drafted = 0;
        EnsureRoom(length);
        var keyValueLength = Limit(length);
        // Its work is recorded: nothing in it may depend on what the host knows of this round.
        Tensor[] Chain(Tensor[] x)
        {
            var (level, places, chosen) = (x[0], x[1], new List<Tensor>());
            for (var depth = 0; depth < length; depth++)
            {
                if (depth > 0)
                {
                    level = Layers(chosen[^1], level, places, places, _memory.Slots.narrow(0, 0, keyValueLength) > places.unsqueeze(-1), keyValueLength);
                    places = places + 1;
                }
                var best = _head.Logits(level, _target).argmax(-1);
                chosen.Add(_head.ToTargetIds(best));
            }
            return [stack(chosen, 1)];
        }
        return Work(new GraphKey("chain", length, keyValueLength), [_root!, Places(1)], Chain)[0].cpu().MoveToOuterDisposeScope();
    }

    protected override void Dispose(bool disposing)
    {
        foreach (var (_, tensor) in _weights.All) tensor.Dispose();
        _head.ReturnMemory(_memory);
        _root?.Dispose();
        _level?.Dispose();
        base.Dispose(disposing);
    }

    private KeyValueCache Cache => _memory.Cache;

    // Pairs of the embedding of ids [B·T] and features [B·T,D], through all layers.
    private Tensor Run(string work, int count, long[] ids, Tensor features, Tensor positions, Tensor places, Tensor masked, int keyValueLength)
    {
        Tensor[] Pairs(Tensor[] x) => [Layers(x[0], x[1], x[2], x[3], x[4], keyValueLength)];
        Tensor[] inputs = [tensor(ids), features, positions, places, masked];
        return (count <= MostRecorded ? Work(new GraphKey(work, count, keyValueLength), inputs, Pairs) : Pairs([.. inputs.Select(x => x.to(_target.Device))]))[0];
    }

    private Tensor Layers(Tensor ids, Tensor features, Tensor positions, Tensor places, Tensor masked, int keyValueLength) =>
        _script.HeadForward(cat([_target.Embed(ids), features], 1), _weights.Stack, _weights.Options.Bias,
            _target.Model.Inputs(positions, Cache.Slots(places), masked, keyValueLength), Cache);

    // Rounded weights are gone with this drafter, and what is recorded serves the next one as well.
    private Tensor[] Work(GraphKey key, Tensor[] inputs, Func<Tensor[], Tensor[]> work) =>
        _rounded ? work([.. inputs.Select(x => x.to(_target.Device))]) : Cache.Graphs.Run(key, inputs, work);

    private void Keep(Tensor outputs)
    {
        _level?.Dispose();
        _level = outputs.DetachFromDisposeScope();
    }

    // The next free slots of each sequence, [B,count], on the host.
    private Tensor Places(int count) =>
        tensor(Cache.Lengths.SelectMany(length => Enumerable.Range(0, count).Select(t => (long)length + _drafted + t)).ToArray()).view(Batch, count);

    private int Limit(int count) => TargetModel.KeyValueLength(Cache, Cache.Lengths.Max() + _drafted + count);

    private int Width(int count) => _target.Device.type == DeviceType.CUDA && count <= MostRecorded ? (count + GpuPairs - 1) / GpuPairs * GpuPairs : count;

    private Tensor OnDevice(long[] values) => tensor(values, device: _target.Device);

    // A tree that is cut after it was grown stands here in full, and may be larger than what the sequence was to hold.
    private void EnsureRoom(int count)
    {
        var needed = Cache.Lengths.Max() + _drafted + count;
        if (needed <= Cache.Capacity) return;
        var (old, lengths) = (_memory, Cache.Lengths.ToArray());
        _memory = new EagleMemory(_target, _head.Options.Layers, Batch, needed + needed / 2);
        for (var b = 0; b < Batch; b++) old.Cache.Extend(b, _drafted);
        int[] all = [.. Enumerable.Range(0, Batch)];
        Cache.CopyFrom(old.Cache, all, all);
        for (var b = 0; b < Batch; b++) Cache.Truncate(b, lengths[b]);
        old.Dispose();
    }
}
