using Koala.Lab.Decoding.Sampling;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Decoding.Verification;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Runtime;
using Koala.Lab.Targets;
using MathNet.Numerics.Random;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Decoding.Cost;

/// <summary>Times rounds of the decoder on an arbitrary text; half of each draft's depth counts as accepted.</summary>
/// <remarks>
/// The text repeats a few tokens, so that a drafter that looks for repetitions finds one. After a round the target's cache is truncated to
/// its old length, and the drafter goes on.
/// </remarks>
internal sealed class RoundBenchmark : IDisposable
{
    // The usual context length of answers to short prompts.
    private const int Context = 128;
    private const int Period = 7;
    private const int Growth = 256;

    // Each answer has one round, so it never ends.
    private static readonly GenerationOptions s_endless = new() { MaxTokens = int.MaxValue };

    private readonly Target _target;
    private readonly IDraftSource _source;
    private readonly KeyValueCache _cache;
    private readonly ITokenSampler _sampler;
    private readonly Verifier _verifier;
    private readonly RandomSource[] _random;
    private readonly int _start;
    private readonly int _capacity;
    private Drafter? _drafter;
    private int _length;   // the number of tokens that the drafter has seen, the root included

    public RoundBenchmark(Target target, IDraftSource source, GenerationOptions options, int batch, int nodes)
    {
        (_target, _source) = (target, source);
        _start = Math.Max(1, Math.Min(Context, (target.Config.ContextLength - nodes - 1) / 2));
        _capacity = Math.Min(_start + nodes + 1 + Growth, target.Config.ContextLength);
        _cache = target.NewCache(batch, _start + nodes + 1);
        _random = [.. Enumerable.Range(0, batch).Select(b => RandomStreams.Create(options.Seed, b))];
        // What a full trace records is not part of the cost that is measured.
        _sampler = TokenSamplers.Create(options with { FullTrace = false }, _random);
        _verifier = new HalfDepthVerifier(Verifier.Create(options), accepted => TokenAt(_length + accepted));
    }

    /// <summary>Runs a round in which nothing is drafted.</summary>
    public TreeCost Baseline()
    {
        Begin();
        return Round(null, null);
    }

    /// <summary>Runs a round with a draft.</summary>
    public TreeCost With(DraftTree tree)
    {
        Begin();
        return Round(_drafter, tree);
    }

    public void Dispose()
    {
        _drafter?.Dispose();
        _cache.Dispose();
    }

    private TreeCost Round(Drafter? drafter, DraftTree? tree)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var sequences = AtTheEndOfTheText();
        var clock = RoundClock.Start();

        var drafts = sequences.Draft(drafter, tree, _sampler);
        clock.Drafted();

        var output = _target.Append(_cache, sequences.Trees(drafts), _source.FeatureLayers);
        var distributions = _verifier.Score(_target.Logits(output.Hidden));
        clock.Verified();

        var acceptedPaths = sequences.Accept(_verifier, distributions, drafts);
        var (committed, rows) = sequences.Commit(drafts, acceptedPaths);
        if (drafter is not null) clock.Draft(() => Extend(drafter, output.FeaturesAt(rows), committed));
        var (draftMs, verifyMs, bookkeepingMs) = clock.Stop();

        for (var b = 0; b < _cache.Batch; b++) _cache.Truncate(b, _start);
        var nodes = drafts.Max(draft => draft.Candidates.Count);
        return new TreeCost(tree ?? new ChainTree(0), nodes, draftMs, verifyMs, bookkeepingMs);
    }

    private void Extend(Drafter drafter, Tensor features, int[][] committed)
    {
        drafter.Extend(features, committed);
        // On a GPU the drafter's work is asynchronous; without the synchronisation its time would count for the next round.
        if (_target.Device.type == DeviceType.CUDA) cuda.synchronize();
        // The first committed token is the old root.
        _length += committed.Max(tokens => tokens.Length) - 1;
    }

    // Creates a batch of sequences whose root is the last token of the text.
    private SequenceBatch AtTheEndOfTheText()
    {
        var count = _cache.Batch;
        Sequence[] sequences = [.. Enumerable.Range(0, count).Select(_ => new Sequence(_target, [], s_endless, null) { EndTokens = [] })];
        int[] all = [.. Enumerable.Range(0, count)];
        var batch = new SequenceBatch(_cache, _random);
        batch.Take(all, sequences, _random);
        batch.Begin(all, [.. Enumerable.Repeat(Array.Empty<int>(), count)], [.. Enumerable.Repeat(TokenAt(_length - 1), count)]);
        return batch;
    }

    // Lets the target and a new drafter read the text. The drafter is replaced once its capacity is used up.
    private void Begin()
    {
        if (_drafter is not null && _length + _cache.Capacity - _start <= _capacity) return;
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        _drafter?.Dispose();
        _drafter = _source.NewDrafter(_target, _cache.Batch, _capacity);
        _cache.Clear();
        int[] text = [.. Enumerable.Range(0, _start + 1).Select(TokenAt)];
        var output = _target.Prefill(_cache, [.. Enumerable.Repeat(text[..^1], _cache.Batch)], _source.FeatureLayers);
        _drafter.Extend(output.Features, [.. Enumerable.Repeat(text, _cache.Batch)]);
        _length = text.Length;
    }

    private int TokenAt(int index) => index % Math.Min(Period, _target.Config.VocabularySize);
}
