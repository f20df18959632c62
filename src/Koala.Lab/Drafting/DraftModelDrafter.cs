using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Drafting;

/// <summary>Drafts with a smaller model, which runs its own steps over the tokens in its own cache.</summary>
/// <remarks>
/// Behind the committed tokens the cache holds a round's candidates, level by level. The accepted ones stay there,
/// because a token's keys depend only on tokens, unlike those of an EAGLE head. B sequences, n candidates per level, V
/// vocabulary.
/// </remarks>
/// <param name="model">The model that drafts.</param>
/// <param name="vocabulary">
/// The size of the target's vocabulary, V. Logits are over V tokens, whatever the size of the model's own embedding.
/// </param>
/// <param name="maxDraftLength">The largest depth of a draft.</param>
/// <param name="batch">The number of sequences.</param>
/// <param name="capacity">The number of tokens that a sequence may hold.</param>
internal sealed class DraftModelDrafter(Target model, int vocabulary, int maxDraftLength, int batch, int capacity) : LevelDrafter
{
    private readonly KeyValueCache _cache = model.NewCache(batch, capacity);
    private readonly List<int>[] _pending = Lists(batch);   // committed tokens not yet in the cache; the root is the last
    private readonly List<int>[] _nodes = Lists(batch);     // the round's candidates in the cache
    private readonly List<int>[] _parents = Lists(batch);   // the index of each candidate's parent, -1 for the root
    private readonly bool[] _begun = new bool[batch];       // whether the prompt is known
    private int[] _starts = new int[batch];                 // where the candidates begin in the cache
    private int _level;                                     // the first candidate of the level before, -1 for the root

    public override int MaxDraftLength => maxDraftLength;

    public override int Batch => batch;

    public override void Extend(Tensor features, IReadOnlyList<int[]> tokens)
    {
        var kept = new IReadOnlyList<int>[batch];
        for (var b = 0; b < batch; b++)
        {
            // The first of these tokens is the old root, which is known.
            var committed = tokens[b].AsSpan(_begun[b] && tokens[b].Length > 0 ? 1 : 0);
            kept[b] = PathOf(b, committed);
            _pending[b].AddRange(committed[kept[b].Count..]);
            _nodes[b].Clear();
            _parents[b].Clear();
        }
        _cache.Compact(_starts, kept);
        int[] beginning = [.. Enumerable.Range(0, batch).Where(b => !_begun[b] && tokens[b].Length > 0)];
        ReadPrompts(beginning);
        foreach (var b in beginning) _begun[b] = true;
        _starts = [.. _cache.Lengths];
    }

    public override void Forget(int sequence)
    {
        _cache.Truncate(sequence, 0);
        _starts[sequence] = 0;
        _begun[sequence] = false;
        foreach (var lists in (List<int>[][])[_pending, _nodes, _parents]) lists[sequence].Clear();
    }

    public override Tensor First()
    {
        using var scope = NewDisposeScope();
        var hidden = model.Append(_cache, [.. _pending.Select(tokens => tokens.Select(Known).ToArray())]);
        var last = _pending.Select((tokens, b) => b * hidden.shape[1] + Math.Max(tokens.Count - 1, 0)).ToArray();
        foreach (var tokens in _pending) tokens.Clear();
        _starts = [.. _cache.Lengths];
        _level = -1;
        var hiddenAtRoots = hidden.flatten(0, 1).index_select(0, tensor(last, device: model.Device));
        return Logits(hiddenAtRoots).MoveToOuterDisposeScope();
    }

    public override Tensor Next(IReadOnlyList<int[]> tokens, IReadOnlyList<int[]> parents)
    {
        using var scope = NewDisposeScope();
        var (held, count) = (_nodes[0].Count, tokens[0].Length);
        // A tree may be larger than what is left of the context. The decoder cuts what does not fit, so any logits will
        // do.
        if (_cache.Lengths.Max() + count > _cache.Capacity)
            return zeros(batch * count, vocabulary, model.Dtype, model.Device).MoveToOuterDisposeScope();
        for (var b = 0; b < batch; b++)
        {
            _nodes[b].AddRange(tokens[b]);
            _parents[b].AddRange(parents[b].Select(parent => _level < 0 ? -1 : _level + parent));
        }
        _level = held;
        int[][] known = [.. tokens.Select(level => level.Select(Known).ToArray())];
        var trees = new TokenTrees(known, [.. _parents.Select(tree => tree.ToArray())]);
        var hidden = model.Append(_cache, trees, [], held).Hidden;
        return Logits(hidden.flatten(0, 1)).MoveToOuterDisposeScope();
    }

    internal override KoalaException NotFinite() => model.NotFinite();

    protected override void Dispose(bool disposing)
    {
        _cache.Dispose();
        base.Dispose(disposing);
    }

    // Ids that one of the two models does not have are never drafted. Without them the draft's distribution is that of the rest.
    private Tensor Logits(Tensor hidden)
    {
        var (logits, missing) = (model.Logits(hidden), vocabulary - model.Config.VocabularySize);
        if (missing > 0) return nn.functional.pad(logits, [0, missing], value: double.NegativeInfinity);
        return missing < 0 ? logits.narrow(-1, 0, vocabulary) : logits;
    }

    // A token that the target has and the model lacks is padding of the target's embedding: it has no text.
    private int Known(int token) => token < model.Config.VocabularySize ? token : 0;

    // The committed tokens that are in the cache as candidates. The last committed token is the new root: it has to be
    // read again to know what follows it.
    private List<int> PathOf(int b, ReadOnlySpan<int> committed)
    {
        var (path, node) = (new List<int>(), -1);
        for (var i = 0; i < committed.Length - 1; i++)
        {
            var token = committed[i];
            bool IsNext(int candidate) => _parents[b][candidate] == node && _nodes[b][candidate] == token;
            var child = Enumerable.Range(0, _nodes[b].Count).FirstOrDefault(IsNext, -1);
            if (child < 0) break;
            path.Add(node = child);
        }
        return path;
    }

    // All tokens but the roots are read at once, so that reading a prompt is not part of the first round.
    private void ReadPrompts(int[] sequences)
    {
        using var scope = NewDisposeScope();
        int[] read = [.. sequences.Where(b => _pending[b].Count > 1)];
        if (read.Length > 0)
            model.PrefillSome(_cache, read, [.. read.Select(b => _pending[b].SkipLast(1).Select(Known).ToArray())], []);
        foreach (var b in read) _pending[b].RemoveRange(0, _pending[b].Count - 1);
    }

    private static List<int>[] Lists(int count) => [.. Enumerable.Range(0, count).Select(_ => new List<int>())];
}
