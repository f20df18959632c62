using Koala.Lab.Decoding;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Trees;
using Koala.Lab.Runtime;
using Koala.Lab.Targets;
using MathNet.Numerics.Random;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Evaluation;

/// <summary>Rounds on a text that says nothing, for their time alone: as the decoder makes them, but that half of each draft's depth counts as accepted.</summary>
/// <remarks>The text repeats a few tokens, so that a drafter that looks for repetitions finds one. The target stays where it is; the drafter goes on.</remarks>
internal sealed class CostRounds : IDisposable
{
    // Where answers to short prompts are about.
    private const int Context = 128;
    private const int Period = 7;
    private const int Growth = 256;

    private readonly Target _target;
    private readonly IDraftSource _source;
    private readonly KeyValueCache _cache;
    private readonly ICandidateChooser _chooser;
    private readonly Acceptance _acceptance;
    private readonly RandomSource[] _random;
    private readonly int _start;
    private readonly int _capacity;
    private Drafter? _drafter;
    private int _length;   // tokens that the drafter knows, the root counted

    public CostRounds(Target target, IDraftSource source, GenerationOptions options, int batch, int nodes)
    {
        (_target, _source) = (target, source);
        _start = Math.Max(1, Math.Min(Context, (target.Config.ContextLength - nodes - 1) / 2));
        _capacity = Math.Min(_start + nodes + 1 + Growth, target.Config.ContextLength);
        _cache = target.NewCache(batch, _start + nodes + 1);
        _random = [.. Enumerable.Range(0, batch).Select(b => RandomStreams.Create(options.Seed, b))];
        _chooser = options.Temperature == 0 ? new BestChooser(withProbabilities: false) : new DrawingChooser(options, _random);
        _acceptance = Acceptance.For(options);
    }

    /// <summary>A round of nothing drafted. Milliseconds.</summary>
    public double Alone()
    {
        Begin();
        return Round([.. Enumerable.Repeat(Draft.Empty, _cache.Batch)], RoundClock.Start(), null).RoundMs;
    }

    /// <summary>A round with a draft.</summary>
    public ShapeCost With(DraftShape shape)
    {
        Begin();
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var clock = RoundClock.Start();
        var drafts = _drafter!.Propose(shape, _chooser);
        clock.Drafted();
        return Round(drafts, clock, shape);
    }

    public void Dispose()
    {
        _drafter?.Dispose();
        _cache.Dispose();
    }

    // The same steps as a round of the decoder, with what is accepted decided beforehand.
    private ShapeCost Round(IReadOnlyList<Draft> drafts, RoundClock clock, DraftShape? shape)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        int[] starts = [.. _cache.Lengths];
        var root = TokenAt(_length - 1);
        var (hidden, features) = _target.Append(_cache, [.. drafts.Select(draft => (int[])[root, .. draft.Candidates.Select(c => c.Token)])],
            [.. drafts.Select(draft => (int[])[-1, .. draft.Candidates.Select(c => c.Parent + 1)])], _source.FeatureLayers);
        var scores = _acceptance.Score(_target.Logits(hidden));
        clock.Verified();

        for (var b = 0; b < drafts.Count; b++) _acceptance.Judge(scores[b], drafts[b], _random[b]);
        var paths = drafts.Select(Half).ToArray();
        _cache.Keep(starts, [.. paths.Select(path => (int[])[0, .. path.Select(i => i + 1)])]);
        if (shape is not null) clock.Draft(() => CatchUp(features, drafts, paths, root));
        var (draftMs, verifyMs, bookkeepingMs) = clock.Stop();
        for (var b = 0; b < drafts.Count; b++) _cache.Truncate(b, _start);
        return new ShapeCost(shape ?? new ChainShape(0), drafts.Max(draft => draft.Candidates.Count), draftMs, verifyMs, bookkeepingMs);
    }

    private void CatchUp(Tensor features, IReadOnlyList<Draft> drafts, int[][] paths, int root)
    {
        var longest = paths.Max(path => path.Length);
        _drafter!.CatchUp(features.narrow(1, 0, 1 + longest), [.. drafts.Select((draft, b) =>
            (int[])[root, .. paths[b].Select(i => draft.Candidates[i].Token), TokenAt(_length + paths[b].Length)])]);
        // On a GPU a drafter's work goes on behind the host's back: it would fall on the next round.
        if (_target.Device.type == DeviceType.CUDA) cuda.synchronize();
        _length += 1 + longest;
    }

    // First children, down to half of the tree's depth.
    private static int[] Half(Draft draft)
    {
        var (path, node) = (new List<int>(), -1);
        for (var i = 0; i < draft.Candidates.Count && path.Count < draft.Depth / 2; i++)
            if (draft.Candidates[i].Parent == node) path.Add(node = i);
        return [.. path];
    }

    // A drafter and a target that have read the text; anew when the drafter's room is used up.
    private void Begin()
    {
        if (_drafter is not null && _length + _cache.Capacity - _start <= _capacity) return;
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        _drafter?.Dispose();
        _drafter = _source.NewDrafter(_target, _cache.Batch, _capacity);
        _cache.Clear();
        int[] text = [.. Enumerable.Range(0, _start + 1).Select(TokenAt)];
        var (hidden, features) = _target.Append(_cache, [.. Enumerable.Repeat(text[..^1], _cache.Batch)], null, _source.FeatureLayers);
        _drafter.CatchUp(features, [.. Enumerable.Repeat(text, _cache.Batch)]);
        _length = text.Length;
    }

    private int TokenAt(int place) => place % Math.Min(Period, _target.Config.VocabularySize);
}
