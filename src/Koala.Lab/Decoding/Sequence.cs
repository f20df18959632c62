using Koala.Lab.Decoding.Trace;
using Koala.Lab.Decoding.Verification;
using Koala.Lab.Drafting;
using Koala.Lab.Targets;

namespace Koala.Lab.Decoding;

/// <summary>An answer that grows: its tokens, its text, why it ended, and its rounds so far.</summary>
internal sealed class Sequence(Target target, IReadOnlyList<int> prompt, GenerationOptions options, Action<GenerationChunk>? onChunk)
{
    private readonly long _start = TimeProvider.System.GetTimestamp();
    private readonly int _limit = ContextRoom.AnswerTokens(target, prompt, options);
    private readonly List<int> _tokens = [];
    private readonly List<Round> _rounds = [];
    private readonly SequenceText _text = new(target.Tokenizer, options.Stop);
    private double _prefillSeconds;
    private double _seconds;
    private FinishReason _finish;

    public bool Ended { get; private set; }

    /// <summary>The tokens that end the answer. Default: the target's.</summary>
    public IReadOnlyCollection<int> EndTokens { get; init; } = target.EndIds;

    /// <summary>
    /// Appends tokens until the answer ends: at a token that ends it, a stop text or the limit. Tokens after the
    /// end are dropped.
    /// </summary>
    /// <param name="tokens">The accepted tokens and the target's own token after them.</param>
    /// <param name="last">Where the last token comes from: it is a bonus token, or that of prefill.</param>
    public void Commit(IReadOnlyList<int> tokens, TokenOrigin last = TokenOrigin.Bonus)
    {
        var before = _tokens.Count;
        var text = "";
        foreach (var token in tokens)
        {
            _tokens.Add(token);
            var end = EndTokens.Contains(token);
            if (!end) text += _text.Append(token);
            if (end || _text.Stopped) End(Decoding.FinishReason.Stop);
            else if (_tokens.Count >= _limit) End(Decoding.FinishReason.Length);
            if (!Ended) continue;
            text += _text.Complete();
            break;
        }
        if (onChunk is null) return;
        var origins = Enumerable.Repeat(TokenOrigin.Accepted, tokens.Count - 1).Append(last);
        onChunk(new GenerationChunk(text, _tokens[before..], [.. origins.Take(_tokens.Count - before)]));
    }

    /// <summary>Stops the clock of prefill, which is also that of an answer that ended with its first token.</summary>
    public void EndPrefill() => _seconds = _prefillSeconds = Elapsed;

    /// <summary>Records a round. The answer's clock stops with its last round.</summary>

    public void Record(Draft draft, AcceptedPath accepted, TargetDistributions distributions, RoundClock clock)
    {
        var (bonus, candidates) = options.FullTrace ? Trace(draft, accepted, distributions.P!) : default;
        var (depth, levels) = (draft.Depth, LevelAcceptance.Create(draft, accepted));
        var (drafting, verifying, bookkeeping) = clock.Stop();
        _rounds.Add(new Round(draft.Candidates.Count, accepted.Accepted, drafting, verifying, bookkeeping)
        {
            Depth = depth,
            Levels = levels,
            Bonus = bonus,
            Candidates = candidates,
        });
        _seconds = Elapsed;
    }

    public Generation Finish() => new(prompt, _tokens, _text.Text, _finish, _seconds, _prefillSeconds, _rounds);

    private double Elapsed => TimeProvider.System.GetElapsedTime(_start).TotalSeconds;

    private void End(FinishReason finish) => (Ended, _finish) = (true, finish);

    private (TracedToken Bonus, IReadOnlyList<TracedCandidate> Candidates) Trace(Draft draft, AcceptedPath accepted, float[][] p)
    {
        // Row 0 belongs to the root and row i+1 to candidate i. A token's probability stands in its parent's row.
        string TextOf(int token) => target.Tokenizer.TextOf(token);
        TracedCandidate Candidate(Candidate c, int i) =>
            new(c.Token, TextOf(c.Token), c.Parent, p[c.Parent + 1][c.Token], c.Q!.Value, accepted.Path.Contains(i));

        var lastRow = accepted.Accepted == 0 ? 0 : accepted.Path[^1] + 1;
        var bonus = new TracedToken(accepted.Bonus, TextOf(accepted.Bonus), p[lastRow][accepted.Bonus]);
        return (bonus, [.. draft.Candidates.Select(Candidate)]);
    }
}
