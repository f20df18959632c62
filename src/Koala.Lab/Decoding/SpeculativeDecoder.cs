using Koala.Lab.Decoding.Verification;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Trees;
using Koala.Lab.Runtime;
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
    public IReadOnlyList<Generation> GenerateAll(
        IReadOnlyList<IReadOnlyList<int>> prompts, GenerationOptions? options = null, Action<int, Piece>? onPiece = null,
        CancellationToken cancel = default)
    {
        options ??= new GenerationOptions();
        options.Validate();
        foreach (var prompt in prompts) ContextRoom.Check(_target, prompt, "the prompt");
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        var shape = _source is null ? null : ShapeOf(_source, options);
        var capacity = prompts.Max(prompt => prompt.Count + ContextRoom.Of(_target, prompt, options)) + (shape?.Nodes ?? 0) + 1;
        using var drafter = _source?.NewDrafter(_target, prompts.Count, capacity);
        RandomSource[] random = [.. prompts.Select((_, b) => RandomStreams.Create(options.Seed, options.Stream + b))];
        var chooser = TokenSamplers.For(options, random);
        var acceptance = Acceptance.For(options);
        Answer[] each = [.. prompts.Select((prompt, b) => new Answer(_target, prompt, options, piece => onPiece?.Invoke(b, piece)))];
        var answers = new AnswersSideBySide(each, random, EmptyCache(prompts.Count, capacity));

        Prefill(prompts, answers, drafter, acceptance);
        while (answers.Running)
        {
            cancel.ThrowIfCancellationRequested();
            using var round = NewDisposeScope();
            var clock = RoundClock.Start();

            var drafts = answers.Draft(drafter, shape, chooser);
            clock.Drafted();

            var output = _target.Append(answers.Cache, answers.Trees(drafts), FeatureLayers);   // [B,T,D], [B,T,F]
            var scores = acceptance.Score(_target.Logits(output.Hidden));                       // the round's one synchronisation
            clock.Verified();

            var verdicts = answers.Accept(acceptance, scores, drafts);
            var (committed, rows) = answers.Commit(drafts, verdicts);
            if (answers.Running) clock.Draft(() => drafter?.CatchUp(output.FeaturesAt(rows), committed));
            answers.Record(drafts, verdicts, scores, clock);
        }
        var generations = answers.Finish();
        Trace = new DecodingTrace([.. generations.SelectMany(generation => generation.Rounds)]);
        return generations;
    }

    /// <summary>Answers one user message through the target's chat template, as it is generated.</summary>
    /// <remarks>The work runs on a thread of its own; leaving the loop early ends it.</remarks>
    /// <exception cref="KoalaException">As <see cref="Generate"/>; or the target has no chat template.</exception>
    public IAsyncEnumerable<Piece> GenerateAsync(string message, GenerationOptions? options = null, CancellationToken cancel = default)
    {
        var prompt = _target.Tokenizer.EncodeChat([new Message("user", message)]);
        return GenerationStream.Read((onPiece, stop) => Generate(prompt, options, onPiece, stop), cancel);
    }

    /// <summary>Frees the cache.</summary>
    public void Dispose() => _cache?.Dispose();

    private IReadOnlyList<int> FeatureLayers => _source?.FeatureLayers ?? [];

    private void Prefill(IReadOnlyList<IReadOnlyList<int>> prompts, AnswersSideBySide answers, Drafter? drafter, Acceptance acceptance)
    {
        using var scope = NewDisposeScope();
        var output = _target.Prefill(answers.Cache, prompts, FeatureLayers);
        var last = output.HiddenAt([.. prompts.Select(prompt => new[] { prompt.Count - 1 })]);   // [B,1,D]
        var scores = acceptance.Score(_target.Logits(last));
        var committed = answers.Begin(prompts, answers.Accept(acceptance, scores, answers.NoDrafts));
        if (answers.Running) drafter?.CatchUp(output.Features, committed);
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
