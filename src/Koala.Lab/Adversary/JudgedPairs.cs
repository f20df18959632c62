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
    /// <returns>
    /// Real and Fake: what is judged, [N,J] each; only Fake has gradients. State: the condition, [N,S]; null if there is
    /// none.
    /// </returns>
    public (Tensor Real, Tensor Fake, Tensor? State) Of(IReadOnlyList<DistillationTerms> termsByDepth)
    {
        using var scope = NewDisposeScope();
        var (real, fake) = _options.Judges switch
        {
            Judged.Probabilities => Both(termsByDepth, Probabilities),
            Judged.Features => Both(termsByDepth, terms => (Normed(terms.TargetFeatures), Normed(terms.Features))),
            Judged.Sequences => Sequences(termsByDepth),
            _ => Both(termsByDepth, terms => (Expected(terms.P), Expected(terms.Q))),
        };
        var state = _options.With == JudgedWith.State ? Normed(States(termsByDepth)).MoveToOuterDisposeScope() : null;
        return (real.MoveToOuterDisposeScope(), fake.MoveToOuterDisposeScope(), state);
    }

    /// <inheritdoc/>
    public void Dispose() => _embeddings?.Dispose();

    private static (Tensor, Tensor) Both(
        IReadOnlyList<DistillationTerms> termsByDepth, Func<DistillationTerms, (Tensor Real, Tensor Fake)> judge)
    {
        var pairs = termsByDepth.Select(judge).ToArray();
        return (cat([.. pairs.Select(pair => pair.Real)], 0), cat([.. pairs.Select(pair => pair.Fake)], 0));
    }

    // Without the factor the norm of probabilities is so small that the first layer hardly reacts to them at first.
    private (Tensor, Tensor) Probabilities(DistillationTerms terms)
    {
        var scale = Math.Sqrt(_probabilities);
        if (_options.TopTokens == 0) return (terms.P * scale, terms.Q * scale);
        var (best, ids) = terms.P.topk((int)_probabilities);
        return (best * scale, terms.Q.gather(1, ids) * scale);
    }

    private (Tensor, Tensor) Sequences(IReadOnlyList<DistillationTerms> termsByDepth)
    {
        var rows = SequenceRows(termsByDepth);
        Tensor Joined(Func<DistillationTerms, Tensor> distribution) =>
            cat([.. rows.Select((at, depth) => Expected(distribution(termsByDepth[depth]).index_select(0, at)))], 1);
        return (Joined(terms => terms.P), Joined(terms => terms.Q));
    }

    // For each depth the rows of the chains that count at all depths, [N] each, in the same order.
    private Tensor[] SequenceRows(IReadOnlyList<DistillationTerms> termsByDepth)
    {
        if (termsByDepth.Count < _depths)
            throw KoalaException.ForOption(AdversaryOptions.JudgesOption,
                $"is sequences of {_depths} depths, but the head is trained over {termsByDepth.Count}", "set it to distributions");
        var byDepth = termsByDepth.Take(_depths).Select(terms =>
            terms.Chains.data<long>().Select((chain, row) => (chain, row)).ToDictionary(x => x.chain, x => (long)x.row)).ToArray();
        var chains = byDepth[0].Keys.Where(chain => byDepth.All(rows => rows.ContainsKey(chain))).ToArray();
        return [.. byDepth.Select((rows, depth) =>
            tensor(chains.Select(chain => rows[chain]).ToArray(), device: termsByDepth[depth].Logits.device))];
    }

    private Tensor States(IReadOnlyList<DistillationTerms> termsByDepth) => _options.Judges switch
    {
        Judged.Features => cat([.. termsByDepth.Select(terms => terms.StatesBefore)], 0),
        Judged.Sequences => termsByDepth[0].TargetStates.index_select(0, SequenceRows(termsByDepth)[0]),
        _ => cat([.. termsByDepth.Select(terms => terms.TargetStates)], 0),
    };

    private Tensor Expected(Tensor distribution) => Normed(matmul(distribution.to(_embeddings!.dtype), _embeddings));

    private static Tensor Normed(Tensor x) => nn.functional.layer_norm(x.to(ScalarType.Float32), [x.shape[^1]]);
}
