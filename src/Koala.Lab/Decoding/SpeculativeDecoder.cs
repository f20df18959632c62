using Koala.Lab.Decoding.Cost;
using Koala.Lab.Decoding.Sampling;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Decoding.Verification;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Runtime;
using Koala.Lab.Targets;
using Koala.Lab.Text.Chat;
using MathNet.Numerics.Random;
using static TorchSharp.torch;

namespace Koala.Lab.Decoding;

/// <summary>
/// Generates answers with a target and, optionally, a draft head: the same answers in fewer steps of the target.
/// </summary>
/// <remarks>
/// Without a head each round drafts nothing. This is the baseline: the same loop and the same step, so that the two can
/// be compared. A decoder generates one batch of answers at a time. It is not safe for use from two threads at once.
/// </remarks>
public sealed class SpeculativeDecoder : IDisposable
{
    private readonly Target _target;
    private readonly IDraftSource? _source;
    private KeyValueCache? _cache;
    private (int Batch, bool Sampled) _chosenFor;
    private bool _disposed;

    /// <param name="target">The model whose output is wanted. The caller owns it.</param>
    /// <param name="source">
    /// A head made for the target, or another draft source; null for the baseline. The caller owns it.
    /// </param>
    /// <exception cref="KoalaException">The target is null.</exception>
    public SpeculativeDecoder(Target target, IDraftSource? source = null)
    {
        KoalaException.ThrowIfNull(target);
        (_target, _source) = (target, source);
    }

    /// <summary>
    /// Whether the decoder chooses a draft length or a tree for this device where <see cref="GenerationOptions"/> set none. It measures for
    /// about half a second before its first answer. If false, it drafts as long as it can. Default: true.
    /// </summary>
    public bool ChooseDraftLength { get; init; } = true;

    /// <summary>
    /// The draft length or tree that the decoder has chosen, and the speedup that it expects; null as long as it has not.
    /// </summary>
    public DraftLengthChoice? DraftLength { get; private set; }

    /// <summary>The seconds that the rounds of the latest answer or batch took, without prefill.</summary>
    internal double RoundSeconds { get; private set; }

    /// <summary>The rounds of the latest answer, or of all answers of the latest batch.</summary>
    public DecodingTrace Trace { get; private set; } = new([]);

    /// <summary>Answers a prompt of token ids.</summary>
    /// <param name="prompt">The token ids, at least one. They must leave room for an answer in the context.</param>
    /// <param name="options">The options; null means the defaults.</param>
    /// <param name="onChunk">This is called on this thread after prefill and after every round.</param>
    /// <param name="cancel">The decoder checks this token between rounds.</param>
    /// <exception cref="KoalaException">
    /// The prompt is null, empty or too long for the context, or has a token outside the vocabulary; an option is out of range; the decoder
    /// is disposed; or the target's or the head's logits are not finite.
    /// </exception>
    /// <exception cref="OperationCanceledException">The generation was cancelled.</exception>
    public Generation Generate(
        IReadOnlyList<int> prompt, GenerationOptions? options = null, Action<GenerationChunk>? onChunk = null,
        CancellationToken cancel = default) =>
        GenerateAll([prompt], options, (_, chunk) => onChunk?.Invoke(chunk), cancel: cancel)[0];

    /// <summary>
    /// Answers prompts as a batch. A round drafts for each answer of the batch and verifies all drafts in one step of the target. Each
    /// answer accepts its own number of tokens. Where there are more prompts than the batch has answers, the next prompt takes the place of
    /// an answer that has ended.
    /// </summary>
    /// <param name="prompts">
    /// The token ids of each prompt, at least one. Each prompt must leave room for an answer in the context.
    /// </param>
    /// <param name="options">
    /// The options; null means the defaults. Prompt i draws from the stream <see cref="GenerationOptions.Stream"/> + i.
    /// </param>
    /// <param name="onChunk">
    /// This is called on this thread after prefill and after every round, with the index of the prompt.
    /// </param>
    /// <param name="batch">The number of answers at once, at least 1; null means all of them.</param>
    /// <param name="cancel">The decoder checks this token between rounds.</param>
    /// <returns>
    /// One answer per prompt, in the order of the prompts. The times of a round are those of the whole batch. The seconds of an answer go
    /// from the beginning of its prefill to its last round, and contain the prefill of answers that began in the meantime.
    /// </returns>
    /// <exception cref="KoalaException">
    /// There is no prompt, or the batch is below 1; a prompt is null, empty or too long for the context, or has a token outside the
    /// vocabulary; an option is out of range; the decoder is disposed; or the target's or the head's logits are not finite.
    /// </exception>
    /// <exception cref="OperationCanceledException">The generation was cancelled.</exception>
    public IReadOnlyList<Generation> GenerateAll(
        IReadOnlyList<IReadOnlyList<int>> prompts, GenerationOptions? options = null, Action<int, GenerationChunk>? onChunk = null,
        int? batch = null, CancellationToken cancel = default)
    {
        KoalaException.ThrowIfDisposed(_disposed, "the decoder");
        KoalaException.ThrowIfNull(prompts);
        if (prompts.Count == 0) throw new KoalaException(nameof(prompts), "is empty", "pass at least one prompt");
        if (batch < 1)
            throw KoalaException.ForOption(nameof(batch), $"is {batch}, but at least one prompt is answered at a time",
                "set it to 1 or more");
        options ??= new GenerationOptions();
        options.Validate();
        foreach (var prompt in prompts)
        {
            KoalaException.ThrowIfNull(prompt);
            ContextRoom.Check(_target, prompt, "the prompt");
        }

        cancel = CellInterrupt.Or(cancel);
        var count = Math.Min(batch ?? prompts.Count, prompts.Count);   // B
        options = WithDraftLength(options, [.. prompts.Take(count)], cancel);
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        var tree = _source is null ? null : TreeFor(_source, options);
        var longest = prompts.Max(prompt => prompt.Count + ContextRoom.AnswerTokens(_target, prompt, options));
        var capacity = longest + (tree?.Nodes ?? 0) + 1;
        using var drafter = _source?.NewDrafter(_target, count, capacity);
        var random = new RandomSource[count];
        var sampler = TokenSamplers.Create(options, random);
        var verifier = Verifier.Create(options);
        var sequences = new SequenceBatch(EmptyCache(count, capacity), random);
        var waiting = new WaitingPrompts(_target, prompts, options, onChunk);

        RoundSeconds = 0;
        Refill(sequences, waiting, drafter, verifier);
        while (sequences.Running)
        {
            cancel.ThrowIfCancellationRequested();
            using var round = NewDisposeScope();
            var clock = RoundClock.Start();

            var drafts = sequences.Draft(drafter, tree, sampler);
            clock.Drafted();

            var output = _target.Append(sequences.Cache, sequences.Trees(drafts), FeatureLayers);   // [B,T,D], [B,T,F]
            var distributions = Score(verifier, output.Hidden);                                     // the round's one synchronisation
            clock.Verified();

            var acceptedPaths = sequences.Accept(verifier, distributions, drafts);
            var (committed, rows) = sequences.Commit(drafts, acceptedPaths);
            clock.Draft(() => sequences.Extend(drafter, output.FeaturesAt(rows), committed));
            sequences.Record(drafts, acceptedPaths, distributions, clock);
            RoundSeconds += clock.Seconds;
            Refill(sequences, waiting, drafter, verifier);
        }
        var generations = waiting.Answers;
        Trace = new DecodingTrace([.. generations.SelectMany(generation => generation.Rounds)]);
        return generations;
    }

    /// <summary>Answers one user message through the target's chat template and streams the answer.</summary>
    /// <remarks>The work runs on a thread of its own. Leaving the loop early ends the work.</remarks>
    /// <exception cref="KoalaException">The target has no chat template, or <see cref="Generate"/> throws.</exception>
    public IAsyncEnumerable<GenerationChunk> GenerateAsync(
        string message, GenerationOptions? options = null, CancellationToken cancel = default)
    {
        KoalaException.ThrowIfNull(message);
        IReadOnlyList<int> Prompt() => _target.Tokenizer.EncodeChat([new Message("user", message)]);
        return GenerationStream.Read((onChunk, stop) => Generate(Prompt(), options, onChunk, stop), cancel);
    }

    /// <summary>Frees the cache.</summary>
    public void Dispose()
    {
        _disposed = true;
        _cache?.Dispose();
    }

    // What pays for a batch of another size, or for sampled tokens, may not pay here.
    private GenerationOptions WithDraftLength(
        GenerationOptions options, IReadOnlyList<IReadOnlyList<int>> prompts, CancellationToken cancel)
    {
        if (!ChooseDraftLength || _source is not { MaxDraftLength: > 1 } || options is not { DraftLength: null, Tree: null })
            return options;
        var use = (prompts.Count, options.Temperature > 0);
        if (DraftLength is null || use != _chosenFor)
        {
            (DraftLength, var _) = DraftLengthTuner.Measure(_target, _source, [prompts], options, DraftLengthTuner.Budget, cancel: cancel);
            _chosenFor = use;
        }
        return DraftLength.ApplyTo(options);
    }

    private IReadOnlyList<int> FeatureLayers => _source?.FeatureLayers ?? [];

    // Lets prompts begin where answers have ended. Some answers end with their first token.
    private void Refill(SequenceBatch sequences, WaitingPrompts waiting, Drafter? drafter, Verifier verifier)
    {
        while (waiting.Next([.. sequences.Free], sequences.Cache.Batch) is { Count: > 0 } begun)
        {
            using var scope = NewDisposeScope();
            int[] places = [.. begun.Select(answer => answer.Place)];
            IReadOnlyList<int>[] prompts = [.. begun.Select(answer => answer.Prompt)];
            sequences.Take(places, [.. begun.Select(answer => answer.Sequence)], [.. begun.Select(answer => answer.Random)]);
            var output = _target.PrefillSome(sequences.Cache, places, prompts, FeatureLayers);
            var last = output.HiddenAt([.. prompts.Select(prompt => new[] { prompt.Count - 1 })]);   // [G,1,D]
            var first = sequences.First(places, verifier, Score(verifier, last));
            var committed = sequences.Begin(places, prompts, first);
            if (drafter is not null) sequences.Extend(drafter, output.FeaturesAmong(places, sequences.Cache.Batch), committed);
            sequences.EndPrefill(places);
        }
    }

    // A target with broken numbers would answer something, and a head that repeats it would seem lossless.
    private IReadOnlyList<TargetDistributions> Score(Verifier verifier, Tensor hidden)
    {
        var distributions = verifier.Score(_target.Logits(hidden));
        foreach (var sequence in distributions)
            if (!sequence.IsFinite) throw _target.NotFinite();
        return distributions;
    }

    // One cache serves batch after batch. Attention never reads what an earlier batch left beyond the current length.
    private KeyValueCache EmptyCache(int batch, int capacity)
    {
        capacity = Math.Min(KeyValueCache.RoundUp(capacity, _target.Device), _target.Config.ContextLength);
        if (_cache is null || _cache.Batch != batch || _cache.Capacity < capacity)
        {
            _cache?.Dispose();
            _cache = null;
            _cache = _target.NewCache(batch, capacity);
        }
        _cache.Clear();
        return _cache;
    }

    /// <summary>The draft tree of every round with these options.</summary>
    /// <exception cref="KoalaException">The tree is deeper than the source can draft, or a cut needs confidences that it lacks.</exception>
    internal static DraftTree TreeFor(IDraftSource source, GenerationOptions options)
    {
        if (options.DraftLength > source.MaxDraftLength)
            throw KoalaException.ForOption(nameof(options.DraftLength),
                $"is {options.DraftLength}, but this head drafts at most {source.MaxDraftLength} tokens per round",
                "lower it or leave it out");
        if (options.ConfidenceThreshold > 0 && !source.HasConfidences)
            throw KoalaException.ForOption(nameof(options.ConfidenceThreshold), "is set, but the draft source has no confidence output",
                "leave it out, or train a head with one");
        var tree = options.TreeFor(source.MaxDraftLength);
        if (tree.Depth > source.MaxDraftLength)
            throw KoalaException.ForOption(nameof(options.Tree),
                $"{tree.Name} is {tree.Depth} levels deep, but this head drafts at most {source.MaxDraftLength} tokens one after another",
                "choose a shallower tree");
        return tree;
    }
}
