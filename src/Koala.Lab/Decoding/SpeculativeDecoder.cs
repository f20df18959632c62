using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Trees;
using Koala.Lab.Targets;
using Koala.Lab.Text;
using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Decoding;

/// <summary>Generates with a target and, where there is one, a draft head: the same answers, fewer steps of the target.</summary>
/// <remarks>
/// Without a head each round drafts nothing: that is the target alone, by the same loop and the same step, so that the two can be
/// compared. One batch of answers at a time; not for use from two threads at once.
/// </remarks>
public sealed class SpeculativeDecoder : IDisposable
{
    private readonly Target _target;
    private readonly IDraftSource? _source;
    private KeyValueCache? _cache;

    /// <param name="target">The model whose output is wanted. Stays the caller's.</param>
    /// <param name="source">A head made for it, or what proposes in its place; null for the target alone. Stays the caller's.</param>
    public SpeculativeDecoder(Target target, IDraftSource? source = null) => (_target, _source) = (target, source);

    /// <summary>The rounds of the answer that came to its end last; of a batch, those of all.</summary>
    public DecodingTrace Trace { get; private set; } = new([]);

    /// <summary>Answers a prompt of token ids.</summary>
    /// <param name="prompt">At least one token; must leave room in the context.</param>
    /// <param name="options">Null: the defaults.</param>
    /// <param name="onPiece">Called on this thread after prefill and after every round.</param>
    /// <param name="cancel">Looked at between rounds.</param>
    /// <exception cref="KoalaException">An option is out of range, or the prompt does not fit the context.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public Generation Generate(IReadOnlyList<int> prompt, GenerationOptions? options = null, Action<Piece>? onPiece = null, CancellationToken cancel = default) =>
        GenerateAll([prompt], options, (_, piece) => onPiece?.Invoke(piece), cancel)[0];

    /// <summary>Answers prompts side by side: a round drafts for each and verifies all in one step; each accepts its own length.</summary>
    /// <param name="prompts">Token ids, at least one each; each must leave room in the context.</param>
    /// <param name="options">Null: the defaults. Prompt i draws from the stream <see cref="GenerationOptions.Stream"/> + i.</param>
    /// <param name="onPiece">Called on this thread after prefill and after every round, with the prompt's number.</param>
    /// <param name="cancel">Looked at between rounds.</param>
    /// <returns>An answer a prompt, in their order. Times of a round are the batch's.</returns>
    /// <exception cref="KoalaException">An option is out of range, or a prompt does not fit the context.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public IReadOnlyList<Generation> GenerateAll(IReadOnlyList<IReadOnlyList<int>> prompts, GenerationOptions? options = null, Action<int, Piece>? onPiece = null, CancellationToken cancel = default)
    {
        options ??= new GenerationOptions();
        options.Validate();
        foreach (var prompt in prompts) CheckFits(prompt);
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        var shape = _source is null ? null : ShapeOf(_source, options);
        var capacity = prompts.Max(p => p.Count + Math.Min(options.MaxTokens, _target.Config.ContextLength - p.Count)) + (shape?.Nodes ?? 0) + 1;
        using var drafter = _source?.NewDrafter(_target, prompts.Count, capacity);
        var cache = EmptyCache(prompts.Count, capacity);
        RandomSource[] random = [.. prompts.Select((_, b) => Draw.Source(options.Seed, options.Stream + b))];
        // Typical acceptance asks how likely the target holds a candidate, not how it came about: the best ones are kept most.
        ICandidateChooser chooser = options.Temperature == 0 || options.Acceptance == AcceptanceRule.Typical ? new BestChooser(options.FullTrace) : new DrawingChooser(options, random);
        var acceptance = Acceptance.For(options);
        var answers = new AnswersSideBySide([.. prompts.Select((prompt, b) => new Answer(_target, prompt, options, piece => onPiece?.Invoke(b, piece)))], random, cache);

        Prefill(prompts, cache, drafter, acceptance, answers);
        while (answers.Running)
        {
            cancel.ThrowIfCancellationRequested();
            using var round = NewDisposeScope();
            var clock = RoundClock.Start();

            var drafts = answers.Fitting(() => shape?.Nodes > 0 ? drafter!.Propose(shape, chooser) : [.. prompts.Select(_ => Draft.Empty)]);
            clock.Drafted();

            int[] starts = [.. cache.Lengths];
            var (hidden, features) = _target.Append(cache, answers.Tokens(drafts), answers.Parents(drafts), FeatureLayers);   // [B,T,D]
            var scores = acceptance.Score(_target.Logits(hidden));
            clock.Verified();

            var verdicts = answers.Judge(acceptance, scores, drafts);
            var kept = verdicts.Select(verdict => verdict?.Rows ?? []).ToArray();
            cache.Keep(starts, kept);
            var committed = answers.Commit(drafts, verdicts);

            if (answers.Running) clock.Draft(() => drafter?.CatchUp(RowsOf(features, kept), committed));
            answers.Record(drafts, verdicts, scores, clock);
        }
        var generations = answers.Finish();
        Trace = new DecodingTrace([.. generations.SelectMany(g => g.Rounds)]);
        return generations;
    }

    /// <summary>Answers one user message through the target's chat template, as it is generated.</summary>
    /// <remarks>The work runs on a thread of its own; leaving the loop early ends it.</remarks>
    /// <exception cref="KoalaException">As <see cref="Generate"/>; or the target has no chat template.</exception>
    public async IAsyncEnumerable<Piece> GenerateAsync(string message, GenerationOptions? options = null, [EnumeratorCancellation] CancellationToken cancel = default)
    {
        var prompt = _target.Tokenizer.EncodeChat([new Message("user", message)]);
        using var left = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var pieces = Channel.CreateUnbounded<Piece>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
        var work = Task.Factory.StartNew(() =>
        {
            try
            {
                Generate(prompt, options, piece => pieces.Writer.TryWrite(piece), left.Token);
                pieces.Writer.Complete();
            }
            catch (Exception e)
            {
                // Passed on to the reader, which throws it.
                pieces.Writer.Complete(e);
            }
        }, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        try
        {
            await foreach (var piece in pieces.Reader.ReadAllAsync(CancellationToken.None)) yield return piece;
        }
        finally
        {
            await left.CancelAsync();
            await work;
        }
    }

    /// <summary>Frees the cache.</summary>
    public void Dispose() => _cache?.Dispose();

    private IReadOnlyList<int> FeatureLayers => _source?.FeatureLayers ?? [];

    // The root's row and those of its accepted candidates, [B,N,F]; a chain's stand side by side already.
    private static Tensor RowsOf(Tensor features, IReadOnlyList<int>[] kept)
    {
        var longest = kept.Max(rows => rows.Count);
        if (kept.All(rows => rows.Select((row, i) => row == i).All(same => same))) return features.narrow(1, 0, longest);
        var index = kept.SelectMany((rows, b) => Enumerable.Range(0, longest).Select(i => b * features.shape[1] + (i < rows.Count ? rows[i] : 0))).ToArray();
        return features.flatten(0, 1).index_select(0, tensor(index, device: features.device)).view(kept.Length, longest, -1);
    }

    private void Prefill(IReadOnlyList<IReadOnlyList<int>> prompts, KeyValueCache cache, Drafter? drafter, Acceptance acceptance, AnswersSideBySide answers)
    {
        using var scope = NewDisposeScope();
        var (longest, hidden, features) = (prompts.Max(p => p.Count), new List<Tensor>(), new List<Tensor>());
        for (var start = 0; start < longest; start += Target.PromptPiece)
        {
            var piece = _target.Append(cache, [.. prompts.Select(p => p.Skip(start).Take(Target.PromptPiece).ToArray())], null, FeatureLayers);
            hidden.Add(piece.Hidden);
            features.Add(piece.Features);
        }
        var last = tensor(prompts.Select((p, b) => (long)b * longest + p.Count - 1).ToArray(), device: _target.Device);
        var scores = acceptance.Score(_target.Logits(cat(hidden, 1).flatten(0, 1).index_select(0, last).unsqueeze(1)));
        var verdicts = answers.Judge(acceptance, scores, [.. prompts.Select(_ => Draft.Empty)]);
        var committed = answers.Begin(prompts, verdicts);
        if (answers.Running) drafter?.CatchUp(cat(features, 1), committed);
        answers.EndPrefill();
    }

    // One cache serves batch after batch; what an earlier one left behind its length is never seen.
    private KeyValueCache EmptyCache(int batch, int capacity)
    {
        capacity = Math.Min(KeyValueCache.Roomy(capacity, _target.Device), _target.Config.ContextLength);
        if (_cache is null || _cache.Batch != batch || _cache.Capacity < capacity)
        {
            _cache?.Dispose();
            _cache = null;
            _cache = _target.NewCache(batch, capacity);
        }
        _cache.Clear();
        return _cache;
    }

    private void CheckFits(IReadOnlyList<int> prompt)
    {
        var context = _target.Config.ContextLength;
        if (prompt.Count == 0) throw new KoalaException("the prompt", "is empty", "ask something");
        if (prompt.Count >= context)
            throw new KoalaException("the prompt", $"has {prompt.Count} tokens, but {_target.Name} has a context of {context} for prompt and answer", "shorten it");
    }

    /// <summary>What rounds draft with these options.</summary>
    /// <exception cref="KoalaException">It is deeper than the source can draft.</exception>
    internal static DraftShape ShapeOf(IDraftSource source, GenerationOptions options)
    {
        if (options.DraftLength > source.MaxDraftLength)
            throw KoalaException.ForOption(nameof(options.DraftLength),
                $"is {options.DraftLength}, but this head drafts at most {source.MaxDraftLength} tokens a round",
                "lower it or leave it out");
        var shape = options.ShapeFor(source.MaxDraftLength);
        if (shape.Depth > source.MaxDraftLength)
            throw KoalaException.ForOption(nameof(options.Tree),
                $"{shape.Name} is {shape.Depth} levels deep, but this head drafts at most {source.MaxDraftLength} tokens one after another",
                "take a shallower tree");
        return shape;
    }
}
