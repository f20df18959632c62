using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Eagle;

/// <summary>Drafts with an EAGLE head: over the committed pairs first, then level after level from its own outputs.</summary>
/// <remarks>
/// Its cache holds the committed pairs of each sequence. Behind them a round's candidates stand, level by level, until committed pairs overwrite them:
/// nothing that came of the head's own features stays. B sequences, n candidates a level, L cache slots seen, D width.
/// </remarks>
internal sealed class EagleDrafter : LevelDrafter
{
    private readonly EagleHead _head;
    private readonly Target _target;
    private readonly EagleWeights _weights;
    private KeyValueCache _cache;
    private Tensor _slots;                 // 0 .. capacity-1
    private Tensor? _root;                 // output at each last committed pair, [B,D]
    private Tensor? _level;                // outputs of the level before, [B·n,D]
    private bool[][] _seen = [];           // of each of its nodes, the round's slots that it sees
    private int _drafted;                  // slots of the round so far, in each sequence

    public EagleDrafter(EagleHead head, EagleWeights weights, Target target, int batch, int capacity)
    {
        using var scope = NewDisposeScope();
        (_head, _target, Batch) = (head, target, batch);
        // The same tensors, or rounded ones, where training left the head in another dtype.
        _weights = weights.To(target.Dtype);
        foreach (var (_, tensor) in _weights.All) tensor.DetachFromDisposeScope();
        (_cache, _slots) = NewCache(capacity);
    }

    public override int MaxDraftLength => _head.MaxDraftLength;

    public override int Batch { get; }

    public override DraftVocabulary? Vocabulary => _head.Vocabulary;

    /// <summary>The outputs behind the logits that were asked for last, [B·n,D].</summary>
    internal Tensor Outputs => _level!;

    public override void CatchUp(Tensor features, IReadOnlyList<int[]> tokens)
    {
        using var scope = NewDisposeScope();
        var (longest, outputs) = (tokens.Max(t => t.Length) - 1, new List<Tensor>());
        for (var b = 0; b < Batch; b++)
            if (tokens[b].Length == 0) _cache.Truncate(b, 0);
        _drafted = 0;
        // In pieces, as the target reads a prompt: the mask grows with the square of a piece.
        for (var start = 0; start < longest; start += Target.PromptPiece)
        {
            var count = Math.Min(Target.PromptPiece, longest - start);
            var ids = new long[Batch * count];
            for (var b = 0; b < Batch; b++)
                for (var t = 0; t < count && start + t + 1 < tokens[b].Length; t++) ids[b * count + t] = tokens[b][start + t + 1];
            EnsureRoom(count);
            var places = Places(count);
            var limit = Limit(count);
            var inputs = _weights.Fuse(features.narrow(1, start, count).reshape(Batch * count, -1));
            outputs.Add(Run(ids, inputs, places, places, _slots.narrow(0, 0, limit) > places.unsqueeze(-1), limit).view(Batch, count, -1));
            for (var b = 0; b < Batch; b++) _cache.Extend(b, Math.Clamp(tokens[b].Length - 1 - start, 0, count));
        }
        var all = outputs.Count == 1 ? outputs[0] : cat(outputs, 1);
        var last = tensor(tokens.Select((t, b) => (long)b * longest + Math.Max(t.Length - 2, 0)).ToArray(), device: _target.Device);
        _root?.Dispose();
        _root = all.flatten(0, 1).index_select(0, last).DetachFromDisposeScope();
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
        var limit = Limit(count);
        var (ids, from, positions) = (new long[Batch * count], new long[Batch * count], new long[Batch * count]);
        var (seen, unseen) = (new bool[Batch * count][], new bool[Batch * count * limit]);
        for (var b = 0; b < Batch; b++)
        {
            for (var i = 0; i < count; i++)
            {
                var (node, committed) = (b * count + i, _cache.Lengths[b]);
                (ids[node], from[node]) = (tokens[b][i], b * before + parents[b][i]);
                var line = new bool[_drafted + count];
                _seen[(int)from[node]].CopyTo(line, 0);
                line[_drafted + i] = true;
                seen[node] = line;
                // A level is one deeper than the one before, and so are the places that its nodes guess.
                positions[node] = committed + line.Count(x => x) - 1;
                var row = unseen.AsSpan(node * limit + committed, limit - committed);
                row.Fill(true);
                for (var slot = 0; slot < line.Length; slot++) row[slot] = !line[slot];
            }
        }
        var inputs = Batch * before == 1 ? _level!.expand(count, -1) : _level!.index_select(0, OnDevice(from));
        var outputs = Run(ids, inputs, OnDevice(positions).view(Batch, count), Places(count), OnDevice(unseen).view(Batch, count, limit), limit);
        _seen = seen;
        _drafted += count;
        Keep(outputs);
        return _head.Logits(outputs, _target).MoveToOuterDisposeScope();
    }

    protected override void Dispose(bool disposing)
    {
        foreach (var (_, tensor) in _weights.All) tensor.Dispose();
        _cache.Dispose();
        _slots.Dispose();
        _root?.Dispose();
        _level?.Dispose();
        base.Dispose(disposing);
    }

    // Pairs of the embedding of ids [B·T] and features [B·T,D], through all layers.
    private Tensor Run(long[] ids, Tensor features, Tensor positions, Tensor places, Tensor unseen, int limit)
    {
        var pairs = cat([_target.Embed(OnDevice(ids)), features], 1);
        return _head.Script(_target).Forward(pairs, _weights.Stack, _target.Inputs(positions, _cache.Slots(places), unseen, limit), _cache);
    }

    private void Keep(Tensor outputs)
    {
        _level?.Dispose();
        _level = outputs.DetachFromDisposeScope();
    }

    // The next free slots of each sequence, [B,count].
    private Tensor Places(int count) =>
        OnDevice([.. _cache.Lengths.Select(length => (long)length + _drafted)]).view(-1, 1) + _slots.narrow(0, 0, count);

    private int Limit(int count) => Target.Limit(_cache, _cache.Lengths.Max() + _drafted + count);

    private Tensor OnDevice(long[] values) => tensor(values, device: _target.Device);

    private Tensor OnDevice(bool[] values) => tensor(values, device: _target.Device);

    // A tree that is cut after it was grown stands here in full, and may be larger than what the sequence was to hold.
    private void EnsureRoom(int count)
    {
        var needed = _cache.Lengths.Max() + _drafted + count;
        if (needed <= _cache.Capacity) return;
        var (old, oldSlots, lengths) = (_cache, _slots, _cache.Lengths.ToArray());
        (_cache, _slots) = NewCache(needed + needed / 2);
        for (var b = 0; b < Batch; b++) old.Extend(b, _drafted);
        int[] all = [.. Enumerable.Range(0, Batch)];
        _cache.Adopt(old, all, all);
        for (var b = 0; b < Batch; b++) _cache.Truncate(b, lengths[b]);
        old.Dispose();
        oldSlots.Dispose();
    }

    private (KeyValueCache Cache, Tensor Slots) NewCache(int capacity)
    {
        var config = _target.Config;
        return (new KeyValueCache(_head.Options.Layers, Batch, capacity, config.KeyValueHeads, config.HeadDim, _target.Dtype, _target.Device),
            arange(capacity, ScalarType.Int64, _target.Device).DetachFromDisposeScope());
    }
}
