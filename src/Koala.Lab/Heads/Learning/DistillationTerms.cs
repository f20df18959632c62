using static TorchSharp.torch;

namespace Koala.Lab.Heads.Learning;

/// <summary>A head's prediction beside what the target says at the same places: what losses, the adversary and accuracy look at.</summary>
/// <remarks>
/// p is the target's distribution, q the head's, both over the head's vocabulary, where p is renormalised. Places at which the target's best token lies
/// outside of it do not count (EAGLE-3). N places that count, V' the head's vocabulary, D width. Only q has gradients.
/// </remarks>
public sealed class DistillationTerms : IDisposable
{
    private readonly HeadOutput _output;
    private readonly TrainingBatch _batch;
    private readonly Tensor _logits;
    private readonly Tensor _targetPositions;
    private Tensor? _logQ, _q, _logP, _p, _labels;

    /// <param name="output">Stays the caller's.</param>
    /// <param name="batch">What it is about; stays the caller's.</param>
    public DistillationTerms(HeadOutput output, TrainingBatch batch)
    {
        (_output, _batch) = (output, batch);
        using var scope = NewDisposeScope();
        (_logits, _targetPositions) = (output.Logits.alias(), output.TargetPositions.alias());
        if (output.Vocabulary is not null)
        {
            var counted = OwnIds(batch.BestTokens.index_select(0, output.TargetPositions)).ge(0).nonzero().view(-1);
            (_logits, _targetPositions) = (_logits.index_select(0, counted), _targetPositions.index_select(0, counted));
        }
        _logits.DetachFromDisposeScope();
        _targetPositions.DetachFromDisposeScope();
    }

    /// <summary>0 for the first drafted token.</summary>
    public int Depth => _output.Depth;

    /// <summary>The head's logits, [N,V'] in fp32.</summary>
    public Tensor Logits => _logits;

    /// <summary>log q, [N,V'].</summary>
    public Tensor LogQ => Made(ref _logQ, () => _logits.log_softmax(-1));

    /// <summary>q, [N,V'].</summary>
    public Tensor Q => Made(ref _q, () => _logits.softmax(-1));

    /// <summary>log p, [N,V'].</summary>
    public Tensor LogP => Made(ref _logP, () => WithoutGradients(() =>
    {
        var whole = _batch.LogProbabilities.index_select(0, _targetPositions);
        return _output.Vocabulary is { } own ? whole.index_select(1, own).log_softmax(-1) : whole;
    }));

    /// <summary>p, [N,V'].</summary>
    public Tensor P => Made(ref _p, () => WithoutGradients(() =>
        _output.Vocabulary is null ? _batch.Probabilities.index_select(0, _targetPositions) : LogP.exp()));

    /// <summary>Expected acceptance at each place, Σ min(p, q): [N].</summary>
    public Tensor AcceptanceProbability => minimum(P, Q).sum(-1);

    /// <summary>The head's own id of the token that the text has, [N] int64; -1 where that is outside of its vocabulary.</summary>
    public Tensor Labels => Made(ref _labels, () => OwnIds(_batch.Tokens.view(-1).index_select(0, _targetPositions + 1)));

    /// <summary>Features the head predicts, [M,D] in fp32, at all M places of the prediction.</summary>
    /// <exception cref="KoalaException">The head predicts none.</exception>
    public Tensor Features => _output.Features
        ?? throw KoalaException.ForOption("Losses", "compares features, but this kind of head predicts none",
            "train it with losses of distributions, or take an EAGLE head");

    /// <summary>The target's features at the same places, [M,D] in fp32: a new tensor.</summary>
    public Tensor TargetFeatures => _batch.Features.index_select(0, _output.TargetPositions).to(ScalarType.Float32);

    /// <summary>Where the head's best token is the target's, of all places of the prediction: [M] bool, a new tensor.</summary>
    public Tensor Correct
    {
        get
        {
            using var scope = NewDisposeScope();
            var best = _output.Logits.argmax(-1);
            if (_output.Vocabulary is { } own) best = own.index_select(0, best);
            return (best == _batch.BestTokens.index_select(0, _output.TargetPositions)).MoveToOuterDisposeScope();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in (Tensor?[])[_logits, _targetPositions, _logQ, _q, _logP, _p, _labels]) tensor?.Dispose();
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
        if (_output.Vocabulary is not { } own) return tokens;
        var at = searchsorted(own, tokens).clamp_max(own.shape[0] - 1);
        return at.where(own.index_select(0, at) == tokens, tensor(-1L, device: tokens.device));
    }
}
