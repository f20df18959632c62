using Koala.Lab.Decoding.Trace;
using Koala.Lab.Decoding.Verification;
using Koala.Lab.Drafting;
using Koala.Lab.Targets;

namespace Koala.Lab.Decoding;

/// <summary>An answer as it grows: its tokens, its text, why it ends, and the rounds behind it.</summary>
internal sealed class Sequence(Target target, IReadOnlyList<int> prompt, GenerationOptions options, Action<GenerationChunk>? onChunk)
{
    private readonly long _start = TimeProvider.System.GetTimestamp();
    private readonly int _limit = ContextRoom.AnswerTokens(target, prompt, options);
    private readonly List<int> _tokens = [];
    private readonly List<Round> _rounds = [];
    private readonly SequenceText _text = new(target.Tokenizer, options.Stop);
    private double _prefillSeconds;
    private FinishReason _finish;

    public bool Ended { get; private set; }

    /// <summary>The tokens that end it. Default: the target's end-of-sequence tokens.</summary>
    public IReadOnlyCollection<int> EndTokens { get; init; } = target.Config.EndOfSequenceIds;

    /// <summary>Takes tokens until the answer ends: at an end-of-sequence token, a stop text or the limit. What follows is dropped.</summary>
    public void Commit(IReadOnlyList<int> tokens)
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
        onChunk?.Invoke(new GenerationChunk(text, _tokens[before..]));
    }

    public void EndPrefill() => _prefillSeconds = TimeProvider.System.GetElapsedTime(_start).TotalSeconds;

    public void Record(Draft draft, AcceptedPath accepted, TargetDistributions distributions, RoundClock clock)
    {
        var trace = options.FullTrace ? Traced(draft, accepted, distributions.P!) : default;
        var (depth, levels) = (draft.Depth, LevelAcceptance.Create(draft, accepted));
        var (drafting, verifying, bookkeeping) = clock.Stop();
        _rounds.Add(new Round(draft.Candidates.Count, accepted.Accepted, drafting, verifying, bookkeeping) { Depth = depth, Levels = levels, Bonus = trace.Bonus, Candidates = trace.Candidates });
    }

    public Generation Finish() =>
        new(prompt, _tokens, _text.Text, _finish, TimeProvider.System.GetElapsedTime(_start).TotalSeconds, _prefillSeconds, _rounds);

    private void End(FinishReason finish) => (Ended, _finish) = (true, finish);

    private (TracedToken Bonus, IReadOnlyList<TracedCandidate> Candidates) Traced(Draft draft, AcceptedPath accepted, float[][] p)
    {
        string TextOf(int token) => target.Tokenizer.Decode([token]);
        var bonus = new TracedToken(accepted.Bonus, TextOf(accepted.Bonus), p[accepted.Accepted == 0 ? 0 : accepted.Path[^1] + 1][accepted.Bonus]);
        // The distribution that judges a candidate stands in its parent's row: row 0 is the root's.
        var candidates = draft.Candidates.Select((c, i) =>
            new TracedCandidate(c.Token, TextOf(c.Token), c.Parent, p[c.Parent + 1][c.Token], c.Q!.Value, accepted.Path.Contains(i))).ToArray();
        return (bonus, candidates);
    }
}
