using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Koala.Lab.Heads;
using Koala.Lab.Targets;
using Koala.Lab.Text;
using static TorchSharp.torch;

namespace Koala.Lab.Decoding;

/// <summary>Generates with a target and, where there is one, a draft head: the same answers, fewer steps of the target.</summary>
/// <remarks>
/// Without a head each round drafts nothing: that is the target alone, by the same loop and the same step, so that the two can be
/// compared. One answer at a time; not for use from two threads at once.
/// </remarks>
public sealed class SpeculativeDecoder : IDisposable
{
    private readonly Target _target;
    private readonly DraftHead? _head;
    private KeyValueCache? _cache;

    /// <param name="target">The model whose output is wanted. Stays the caller's.</param>
    /// <param name="head">A head made for it, or null for the target alone. Stays the caller's.</param>
    public SpeculativeDecoder(Target target, DraftHead? head = null) => (_target, _head) = (target, head);

    /// <summary>The rounds of the last answer that came to its end.</summary>
    public DecodingTrace Trace { get; private set; } = new([]);

    /// <summary>Answers a prompt of token ids.</summary>
    /// <param name="prompt">At least one token; must leave room in the context.</param>
    /// <param name="options">Null: the defaults.</param>
    /// <param name="onPiece">Called on this thread after prefill and after every round.</param>
    /// <param name="cancel">Looked at between rounds.</param>
    /// <exception cref="KoalaException">An option is out of range, or the prompt does not fit the context.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public Generation Generate(IReadOnlyList<int> prompt, GenerationOptions? options = null, Action<Piece>? onPiece = null, CancellationToken cancel = default)
    {
        options ??= new GenerationOptions();
        options.Validate();
        CheckFits(prompt);
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        using var drafter = _head?.NewDrafter(_target);
        var draftLength = DraftLength(options, drafter);
        var random = Draw.Source(options.Seed, options.Stream);
        ICandidateChooser chooser = options.Temperature == 0 ? new BestChooser(options.FullTrace) : new DrawingChooser(options, random);
        var acceptance = Acceptance.For(options, random);
        var answer = new Answer(_target, prompt, options, onPiece);
        var cache = EmptyCache(prompt.Count + Math.Min(options.MaxTokens, _target.Config.ContextLength - prompt.Count) + draftLength + 1);

        var root = Prefill(prompt, cache, drafter, acceptance, answer);
        while (!answer.Ended)
        {
            cancel.ThrowIfCancellationRequested();
            using var round = NewDisposeScope();
            var clock = RoundClock.Start();

            var draft = drafter?.Propose(Math.Min(draftLength, cache.Capacity - cache.Lengths[0] - 1), chooser) ?? Draft.Empty;
            clock.Drafted();

            var features = _target.Append(cache, [root, .. draft.Candidates.Select(c => c.Token)]);   // [1 + candidates, D]
            var scores = acceptance.Score(_target.Logits(features));
            clock.Verified();

            var verdict = acceptance.Judge(scores, draft);
            int[] committed = [.. draft.Candidates.Take(verdict.Accepted).Select(c => c.Token), verdict.Bonus];
            cache.Truncate(0, cache.Lengths[0] - draft.Candidates.Count + verdict.Accepted);
            answer.Commit(committed);
            root = verdict.Bonus;

            if (!answer.Ended) clock.Draft(() => drafter?.CatchUp(features.narrow(0, 0, committed.Length), committed));
            answer.Record(draft, verdict, scores, clock);
        }
        var generation = answer.Finish();
        Trace = new DecodingTrace(generation.Rounds);
        return generation;
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

    private int Prefill(IReadOnlyList<int> prompt, KeyValueCache cache, Drafter? drafter, Acceptance acceptance, Answer answer)
    {
        using var scope = NewDisposeScope();
        int[] tokens = [.. prompt];
        var features = _target.Append(cache, tokens);                                                 // [prompt, D]
        var scores = acceptance.Score(_target.Logits(features.narrow(0, tokens.Length - 1, 1)));
        var first = acceptance.Judge(scores, Draft.Empty).Bonus;
        answer.Commit([first]);
        if (!answer.Ended) drafter?.CatchUp(features, [.. tokens[1..], first]);
        answer.EndPrefill();
        return first;
    }

    // One cache serves answer after answer; what an earlier one left behind its length is never seen.
    private KeyValueCache EmptyCache(int capacity)
    {
        capacity = Math.Min(capacity, _target.Config.ContextLength);
        if (_cache is null || _cache.Capacity < capacity)
        {
            _cache?.Dispose();
            _cache = null;
            _cache = _target.NewCache(1, capacity);
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

    private static int DraftLength(GenerationOptions options, Drafter? drafter)
    {
        if (drafter is null) return 0;
        if (options.DraftLength > drafter.MaxDraftLength)
            throw new KoalaException("--draft-length", $"is {options.DraftLength}, but this head drafts at most {drafter.MaxDraftLength} tokens a round",
                "lower it or leave it out");
        return options.DraftLength ?? drafter.MaxDraftLength;
    }
}
