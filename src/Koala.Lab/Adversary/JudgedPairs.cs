using Koala.Lab.Heads;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Adversary;

/// <summary>
/// Turns a head's outputs and the target's at the same positions into the discriminator's inputs; see <see cref="Judged"/>.
/// </summary>
/// <remarks>
/// In shapes N is the number of positions that are judged, J the size of what is judged and S that of the state (0 if the
/// discriminator is not told it), V' the size of the head's vocabulary and D the width of the target.
/// </remarks>
internal sealed class JudgedPairs : IDisposable
{
    private readonly AdversaryOptions _options;
    private readonly Tensor? _embeddings;   // [V',D]; null if no expected embedding is judged
    private readonly int _depths;           // of a sequence
    private readonly long _probabilities;   // how many probabilities are judged

    /// <param name="options">The options of the adversary.</param>
    /// <param name="head">The head. Its draft vocabulary must have been chosen.</param>
    /// <param name="target">The target.</param>
    /// <param name="depths">The number of depths that the head is trained over.</param>
    public JudgedPairs(AdversaryOptions options, DraftHead head, Target target, int depths)
    {
        (_options, _depths) = (options, depths);
        var tokens = head.Vocabulary?.Tokens;
        var vocabulary = tokens?.Count ?? target.Config.VocabularySize;
        _probabilities = options.TopTokens == 0 ? vocabulary : Math.Min(options.TopTokens, vocabulary);
        var width = target.Config.HiddenSize;
        var judged = options.Judges switch
        {
            Judged.Probabilities => _probabilities,
            Judged.Sequences => depths * width,
            _ => width,
        };
        Size = judged + (options.With == JudgedWith.State ? width : 0);
        if (options.Judges is not (Judged.Distributions or Judged.Sequences)) return;
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var ids = tokens is null ? arange(vocabulary) : tensor(tokens.Select(token => (long)token).ToArray());
        _embeddings = target.Embed(ids.to(target.Device)).DetachFromDisposeScope();
    }

    /// <summary>The number of the discriminator's inputs, J + S.</summary>
    public long Size { get; }

    /// <summary>The inputs for the outputs of all depths.</summary>
    /// <param name="termsByDepth">The terms of all depths.</param>
    /// <param name="step">The step, on which it depends which positions are judged if not all are.</param>
    /// <returns>
    /// Real and Fake: what is judged, [N,J] each; only Fake has gradients. State: the condition, [N,S]; null if there is
    /// none.
    /// </returns>
    public (Tensor Real, Tensor Fake, Tensor? State) Of(IReadOnlyList<DistillationTerms> termsByDepth, int step)
    {
        using var scope = NewDisposeScope();
        var rows = _options.Judges == Judged.Sequences
            ? SequenceRows(termsByDepth, step)
            : [.. termsByDepth.Select(terms => RowsOf(terms, termsByDepth.Count, step))];
        Judgement[] judged = [.. rows.Select((at, depth) => Judge(termsByDepth[depth], at))];
        var sequences = _options.Judges == Judged.Sequences;
        Tensor Joined(Func<Judgement, Tensor> part) => cat([.. judged.Select(part)], sequences ? 1 : 0);
        var (real, fake) = (Joined(j => j.Real), Joined(j => j.Fake));
        var states = rows.Select((at, depth) => StatesOf(termsByDepth[depth]).index_select(0, at)).Take(sequences ? 1 : rows.Length);
        var state = _options.With == JudgedWith.State ? Normed(cat([.. states], 0)).MoveToOuterDisposeScope() : null;
        return (real.MoveToOuterDisposeScope(), fake.MoveToOuterDisposeScope(), state);
    }

    /// <inheritdoc/>
    public void Dispose() => _embeddings?.Dispose();

    private readonly record struct Judgement(Tensor Real, Tensor Fake);

    // The positions of a depth that are judged, [N]: evenly spaced, and others at the next step.
    private Tensor RowsOf(DistillationTerms terms, int depths, int step)
    {
        var count = _options.Judges == Judged.Features ? terms.Features.shape[0] : terms.Logits.shape[0];
        return tensor(Sampled(count, depths, step), device: terms.Logits.device);
    }

    private long[] Sampled(long count, int depths, int step)
    {
        var most = _options.Positions == 0 ? count : Math.Min(count, Math.Max(1, _options.Positions / depths));
        // Multiples of the golden ratio fall evenly between two positions.
        var start = step * 0.6180339887498949 % 1;
        return [.. Enumerable.Range(0, (int)most).Select(i => (long)((i + start) * count / most))];
    }

    private Judgement Judge(DistillationTerms terms, Tensor at)
    {
        if (_options.Judges == Judged.Features)
            return new(Normed(terms.TargetFeatures.index_select(0, at)), Normed(terms.Features.index_select(0, at)));
        // The distributions of all positions are not needed.
        var (p, q) = (terms.P.index_select(0, at), terms.Logits.index_select(0, at).softmax(-1));
        if (_options.Judges != Judged.Probabilities) return new(Expected(p), Expected(q));
        // Without the factor the norm of probabilities is so small that the first layer hardly reacts to them at first.
        var scale = Math.Sqrt(_probabilities);
        if (_options.TopTokens == 0) return new(p * scale, q * scale);
        var (best, ids) = p.topk((int)_probabilities);
        return new(best * scale, q.gather(1, ids) * scale);
    }

    // For each depth the rows of the chains that count at all depths, [N] each, in the same order.
    private Tensor[] SequenceRows(IReadOnlyList<DistillationTerms> termsByDepth, int step)
    {
        if (termsByDepth.Count < _depths)
            throw KoalaException.ForOption(AdversaryOptions.JudgesOption,
                $"is sequences of {_depths} depths, but the head is trained over {termsByDepth.Count}", "set it to distributions");
        var byDepth = termsByDepth.Take(_depths).Select(terms =>
            terms.Chains.data<long>().Select((chain, row) => (chain, row)).ToDictionary(x => x.chain, x => (long)x.row)).ToArray();
        var all = byDepth[0].Keys.Where(chain => byDepth.All(rows => rows.ContainsKey(chain))).ToArray();
        var chains = Sampled(all.Length, _depths, step).Select(i => all[i]).ToArray();
        return [.. byDepth.Select((rows, depth) =>
            tensor(chains.Select(chain => rows[chain]).ToArray(), device: termsByDepth[depth].Logits.device))];
    }

    private Tensor StatesOf(DistillationTerms terms) => _options.Judges == Judged.Features ? terms.StatesBefore : terms.TargetStates;

    private Tensor Expected(Tensor distribution) => Normed(matmul(distribution.to(_embeddings!.dtype), _embeddings));

    private static Tensor Normed(Tensor x) => nn.functional.layer_norm(x.to(ScalarType.Float32), [x.shape[^1]]);
}
