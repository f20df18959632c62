using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Kernels;
using Koala.Lab.Runtime.Cuda;
using Koala.Lab.Targets;
using Koala.Lab.Targets.Fused;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Eagle;

/// <summary>Drafts with an EAGLE head on a GPU in kernels of our own; see <see cref="FusedEagle"/>.</summary>
/// <remarks>
/// The pairs of a round wait until the draft begins, so that a greedy chain and the pairs before it are one launch of a graph. In shapes B
/// is the number of sequences, n the number of candidates per level, N a number of pairs, and D the width.
/// </remarks>
internal sealed class EagleFusedDrafter : EagleDrafter
{
    // The number of rows is padded to a multiple of this: so few rows take the same time, and each number would be another CUDA graph.
    private const int RowsAtOnce = 8;

    private readonly EagleWeights _weights;
    private readonly FusedEagle _fused;
    private readonly Pair[] _last;          // the latest pair of each sequence
    private EagleMemory _memory;
    private Tensor? _given;                 // the features that the latest pairs were given, [.,D]
    private Tensor? _described;             // the rows of the round's pairs and sequences, [N+B,Ints], on the host
    private int _mostVisible;               // the most slots that one of the pairs attends to
    private bool _read;                     // whether the pairs are in the cache
    private EagleOutputs? _level;           // the outputs of the latest level, [B·n,D]
    private VisibleSlots[] _paths = [];     // what each node of the latest level attends to
    private int _drafted;                   // the number of slots that the round has filled in each sequence

    public EagleFusedDrafter(EagleHead head, EagleWeights weights, FusedEagle fused, Target target, int batch, int capacity)
        : base(head, target, batch)
    {
        (_weights, _fused) = (weights, fused);
        _last = new Pair[batch];
        _memory = head.RentMemory(target, batch, capacity);
    }

    internal override Tensor Outputs => _level!.Value.Continued;

    public override void Extend(Tensor features, IReadOnlyList<int[]> tokens)
    {
        using var scope = NewDisposeScope();
        if (_described is not null && !_read) Root();
        _drafted = 0;
        var given = _weights.Fuse(features.flatten(0, 1)).contiguous();
        // A draft begins with the outputs at the last pairs of all sequences. Those of a sequence that is left alone are computed again.
        int[] left = [.. Enumerable.Range(0, Batch).Where(b => tokens[b].Length == 0 && Cache.Lengths[b] > 0)];
        var featureRows = (int)given.shape[0];
        Pair[] again = [.. left.Select((b, i) => _last[b] with { Given = featureRows + i })];
        if (left.Length > 0)
            given = cat([given, _given!.index_select(0, tensor(left.Select(b => (long)_last[b].Given).ToArray(), device: Target.Device))]);
        // The last pairs of all sequences come last.
        Pair[] pairs = [.. PairsOf(tokens, (int)features.shape[1]).Concat(again).OrderByDescending(pair => pair.Followers)];
        int Length(int b) => Cache.Lengths[b] + Math.Max(tokens[b].Length - 1, 0);
        EnsureRoom(Enumerable.Range(0, Batch).Max(Length) - Cache.Lengths.Max() + 1);
        // Only a prompt takes several launches; the first one takes what does not fill the others.
        var first = pairs.Length == 0 ? 0 : (pairs.Length - 1) % FusedLayers.MostRows + 1;
        for (var (start, count) = (0, first); start + count < pairs.Length; (start, count) = (start + count, FusedLayers.MostRows))
        {
            var (rows, ids, of) = Rows(pairs.AsSpan(start, count));
            _fused.Read(RowDescriptions.Create(rows, ids, 0, count, of).to(Target.Device), given, rows.MostVisible, Cache);
        }
        for (var b = 0; b < Batch; b++) Cache.Extend(b, Math.Max(tokens[b].Length - 1, 0));
        foreach (var pair in pairs) _last[pair.Sequence] = pair;
        Keep(pairs.AsSpan(pairs.Length <= FusedLayers.MostRows ? 0 : pairs.Length - FusedLayers.MostRows), given);
        // Only beside others can a sequence be left alone. A copy, since a graph's output is overwritten by its next run.
        if (Batch == 1) return;
        _given?.Dispose();
        _given = given.clone().DetachFromDisposeScope();
    }

    public override void Forget(int sequence) => Cache.Truncate(sequence, 0);

    public override Tensor First()
    {
        using var scope = NewDisposeScope();
        _drafted = 0;
        _paths = [.. Cache.Lengths.Select(length => new VisibleSlots(length, []))];
        SetLevel(Root());
        return Logits().MoveToOuterDisposeScope();
    }

    public override Tensor Next(IReadOnlyList<int[]> tokens, IReadOnlyList<int[]> parents)
    {
        using var scope = NewDisposeScope();
        var count = tokens[0].Length;                   // n
        var parentCount = _paths.Length / Batch;        // n of the level before
        EnsureRoom(count);
        var rows = new StepRows();
        int[] ids = [.. tokens.SelectMany(t => t)];
        var given = new int[ids.Length];
        var paths = new VisibleSlots[ids.Length];
        for (var node = 0; node < ids.Length; node++)
        {
            var (b, i) = (node / count, node % count);
            given[node] = b * parentCount + parents[b][i];
            // A node attends to what its parent attends to, and to itself.
            paths[node] = StepRows.Extend(_paths[given[node]], Cache.Lengths[b] + _drafted + i);
            rows.Add(b, Cache.Lengths[b] + _drafted + i, paths[node].Count - 1, paths[node]);
        }
        var features = _level!.Value.Continued;
        var levels = new List<EagleOutputs>();
        for (var start = 0; start < ids.Length; start += FusedLayers.MostRows)
        {
            var described = RowDescriptions.Create(rows, ids, start, Math.Min(FusedLayers.MostRows, ids.Length - start), given);
            var longest = KeyValueLength(rows.MostVisible);
            var key = new GraphKey($"level after {features.shape[0]}", (int)described.shape[0], longest);
            levels.Add(EagleOutputs.Of(
                Cache.Graphs.Run(key, [described, features], x => _fused.Run(x[0], x[1], longest, Cache).Tensors)));
        }
        _paths = paths;
        _drafted += count;
        SetLevel(levels.Count == 1 ? levels[0]
            : EagleOutputs.Of([.. levels[0].Tensors.Select((_, i) => cat([.. levels.Select(level => level.Tensors[i])], 0))]));
        return Logits().MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor GreedyChain(int length)
    {
        using var scope = NewDisposeScope();
        _drafted = 0;
        EnsureRoom(length);
        var longest = KeyValueLength(Math.Max(_mostVisible, Cache.Lengths.Max() + length));
        Tensor[] Chain(Tensor[] x) => [_fused.Chain(x[0], Batch, length, longest, Cache)];
        var keys = RunPairs($"chain of {length}", longest, Chain)[0].cpu().data<long>().ToArray();
        _read = true;
        var chains = new long[Batch * length];
        for (var i = 0; i < chains.Length; i++)
        {
            var best = BestKey.Index(keys[i % length * Batch + i / length]);
            if (best == BestTokens.None) throw NotFinite();
            chains[i] = Vocabulary is null ? best : Vocabulary.Tokens[best];
        }
        return tensor(chains).view(Batch, length).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    internal override IReadOnlyList<Draft>? LikeliestTrees(DynamicTree tree)
    {
        if (!_fused.DraftsTrees(Batch, tree.TopK, tree.Depth)) return null;
        using var scope = NewDisposeScope();
        _drafted = 0;
        EnsureRoom((tree.Depth - 1) * tree.TopK);
        var longest = KeyValueLength(Math.Max(_mostVisible, Cache.Lengths.Max() + tree.Depth));
        var work = $"tree of {tree.TopK}, {tree.Depth}, {tree.Nodes}";
        Tensor[] Trees(Tensor[] x) => [_fused.Tree(x[0], Batch, (tree.TopK, tree.Depth, tree.Nodes), longest, Cache)];
        var numbers = RunPairs(work, longest, Trees)[0].cpu().data<int>().ToArray();
        _read = true;
        return [.. numbers.Chunk(numbers.Length / Batch).Select(DraftOf)];
    }

    protected override void Dispose(bool disposing)
    {
        Head.ReturnMemory(_memory);
        _given?.Dispose();
        _described?.Dispose();
        _level?.Dispose();
        base.Dispose(disposing);
    }

    // A draft as TreePlan.Keep returns it.
    private Draft DraftOf(int[] numbers)
    {
        if (numbers[1] != 0) throw NotFinite();
        var candidates = new Candidate[numbers[0]];
        for (var i = 0; i < candidates.Length; i++)
        {
            var node = numbers.AsSpan((i + 1) * 3, 3);
            candidates[i] = new Candidate(node[0], node[1], MathF.Exp(BitConverter.Int32BitsToSingle(node[2])), null);
        }
        return new Draft(candidates);
    }

    private KeyValueCache Cache => _memory.Cache;

    // A committed pair: its slot, its token, the row of the features that it is given, and how many pairs of its sequence follow.
    private readonly record struct Pair(int Sequence, int Slot, int Id, int Given, int Followers);

    // The committed pairs. The token of a pair is the one after its feature; there are so many features of each sequence.
    private IEnumerable<Pair> PairsOf(IReadOnlyList<int[]> tokens, int features) => tokens.SelectMany((of, b) =>
        of.Skip(1).Select((id, i) => new Pair(b, Cache.Lengths[b] + i, id, b * features + i, of.Length - 2 - i)));

    // Rows of pairs, with their tokens and the features that they are given.
    private static (StepRows Rows, int[] Ids, int[] Given) Rows(ReadOnlySpan<Pair> pairs)
    {
        var rows = new StepRows();
        var (ids, given) = (new int[pairs.Length], new int[pairs.Length]);
        for (var i = 0; i < pairs.Length; i++)
        {
            (ids[i], given[i]) = (pairs[i].Id, pairs[i].Given);
            rows.AddCausal(pairs[i].Sequence, pairs[i].Slot);
        }
        return (rows, ids, given);
    }

    // Keeps the pairs that end with the last ones of all sequences until the draft begins.
    private void Keep(ReadOnlySpan<Pair> pairs, Tensor given)
    {
        var (rows, ids, of) = Rows(pairs);
        _mostVisible = rows.MostVisible;
        var padded = Math.Max(ids.Length + RowsAtOnce - 1, RowsAtOnce) / RowsAtOnce * RowsAtOnce;
        // What pads attends to one slot, and writes into the slot behind the first sequence's pairs, which the next level overwrites.
        for (var i = ids.Length; i < padded; i++)
            rows.Add(0, Cache.Lengths[0], 0, new VisibleSlots(1, []));
        var last = new int[Batch];
        for (var i = 0; i < pairs.Length; i++) last[pairs[i].Sequence] = i;
        for (var b = 0; b < Batch; b++) rows.AddCausal(b, Cache.Lengths[b] - 1);
        if (given.shape[0] > FusedEagle.MostGiven)
        {
            given = given.index_select(0, tensor(of.Select(row => (long)row).ToArray(), device: Target.Device));
            of = [.. Enumerable.Range(0, of.Length)];
        }
        _fused.Given.narrow(0, 0, given.shape[0]).copy_(given);
        Array.Resize(ref ids, padded + Batch);
        Array.Resize(ref of, padded);
        _described?.Dispose();
        _described = RowDescriptions.Create(rows, ids, 0, ids.Length, [.. of, .. last]).DetachFromDisposeScope();
        _read = false;
    }

    // The outputs at the last pair of each sequence.
    private EagleOutputs Root()
    {
        var longest = KeyValueLength(_mostVisible);
        var root = EagleOutputs.Of(RunPairs("pairs", longest, x => _fused.Pairs(x[0], Batch, longest, Cache).Tensors));
        _read = true;
        return root;
    }

    // Runs work that begins with the round's pairs.
    private Tensor[] RunPairs(string work, int longest, Func<Tensor[], Tensor[]> run) =>
        Cache.Graphs.Run(new GraphKey(work, (int)_described!.shape[0], longest), [_described], run);

    private Tensor Logits() => _fused.Logits(_level!.Value.BeforeLmHead);

    private void SetLevel(EagleOutputs outputs)
    {
        _level?.Dispose();
        foreach (var tensor in outputs.Tensors) tensor.DetachFromDisposeScope();
        _level = outputs;
    }

    private int KeyValueLength(int visible) => TargetModel.KeyValueLength(Cache, visible);

    private void EnsureRoom(int count) => _memory = _memory.WithRoom(_drafted, count, Target, Head.Options.Layers);
}
