using static TorchSharp.torch;

namespace Koala.Lab.Heads;

/// <summary>A head's prediction beside what the target says at the same places: what losses, the adversary and accuracy look at.</summary>
/// <remarks>
/// p is the target's distribution, q the head's, both over the head's vocabulary, where p is renormalised. Places at which the target's best token lies
/// outside of it do not count (EAGLE-3). N places that count, V' the head's vocabulary, D width. Only q has gradients.
/// </remarks>
public sealed class Judgement : IDisposable
{
    private readonly Prediction _prediction;
    private readonly TrainingBatch _batch;
    private readonly Tensor _logits;
    private readonly Tensor _judges;
    private Tensor? _logQ, _q, _logP, _p, _truth;

    /// <param name="prediction">Stays the caller's.</param>
    /// <param name="batch">What it is about; stays the caller's.</param>
    public Judgement(Prediction prediction, TrainingBatch batch)
    {
        (_prediction, _batch) = (prediction, batch);
        using var scope = NewDisposeScope();
        (_logits, _judges) = (prediction.Logits.alias(), prediction.Judges.alias());
        if (prediction.Vocabulary is not null)
        {
            var counted = OwnIds(batch.BestTokens.index_select(0, prediction.Judges)).ge(0).nonzero().view(-1);
            (_logits, _judges) = (_logits.index_select(0, counted), _judges.index_select(0, counted));
        }
        _logits.DetachFromDisposeScope();
        _judges.DetachFromDisposeScope();
    }

    /// <summary>0 for the first drafted token.</summary>
    public int Depth => _prediction.Depth;

    /// <summary>The head's logits, [N,V'] in fp32.</summary>
    public Tensor Logits => _logits;

    /// <summary>log q, [N,V'].</summary>
    public Tensor LogQ => Made(ref _logQ, () => _logits.log_softmax(-1));

    /// <summary>q, [N,V'].</summary>
    public Tensor Q => Made(ref _q, () => _logits.softmax(-1));

    /// <summary>log p, [N,V'].</summary>
    public Tensor LogP => Made(ref _logP, () => WithoutGradients(() =>
    {
        var whole = _batch.LogProbabilities.index_select(0, _judges);
        return _prediction.Vocabulary is { } own ? whole.index_select(1, own).log_softmax(-1) : whole;
    }));

    /// <summary>p, [N,V'].</summary>
    public Tensor P => Made(ref _p, () => WithoutGradients(() =>
        _prediction.Vocabulary is null ? _batch.Probabilities.index_select(0, _judges) : LogP.exp()));

    /// <summary>Expected acceptance at each place, Σ min(p, q): [N].</summary>
    public Tensor Acceptance => minimum(P, Q).sum(-1);

    /// <summary>The head's own id of the token that the text has, [N] int64; -1 where that is outside of its vocabulary.</summary>
    public Tensor Truth => Made(ref _truth, () => OwnIds(_batch.Tokens.view(-1).index_select(0, _judges + 1)));

    /// <summary>Features the head predicts, [M,D] in fp32, at all M places of the prediction.</summary>
    /// <exception cref="KoalaException">The head predicts none.</exception>
    public Tensor Features => _prediction.Features
        ?? throw KoalaException.ForOption("Losses", "compares features, but this kind of head predicts none",
            "train it with losses of distributions, or take an EAGLE head");

    /// <summary>The target's features at the same places, [M,D] in fp32: a new tensor.</summary>
    public Tensor TargetFeatures => _batch.Features.index_select(0, _prediction.Judges).to(ScalarType.Float32);

    /// <summary>Where the head's best token is the target's, of all places of the prediction: [M] bool, a new tensor.</summary>
    public Tensor Right
    {
        get
        {
            using var scope = NewDisposeScope();
            var best = _prediction.Logits.argmax(-1);
            if (_prediction.Vocabulary is { } own) best = own.index_select(0, best);
            return (best == _batch.BestTokens.index_select(0, _prediction.Judges)).MoveToOuterDisposeScope();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in (Tensor?[])[_logits, _judges, _logQ, _q, _logP, _p, _truth]) tensor?.Dispose();
    }

    private static Tensor WithoutGradients(Func<Tensor> make)
    {
        using var _ = no_grad();
        return make();
    }

    // Made once, whatever scope the first one to ask is in.
    private static Tensor Made(ref Tensor? kept, Func<Tensor> make)
    {
        if (kept is not null) return kept;
        using var scope = NewDisposeScope();
        return kept = make().DetachFromDisposeScope();
    }

    private Tensor OwnIds(Tensor tokens)
    {
        if (_prediction.Vocabulary is not { } own) return tokens;
        var at = searchsorted(own, tokens).clamp_max(own.shape[0] - 1);
        return at.where(own.index_select(0, at) == tokens, tensor(-1L, device: tokens.device));
    }
}
