using static TorchSharp.torch;

namespace Koala.Lab.Heads.Learning;

/// <summary>
/// The terms of which losses, the adversary and accuracy are computed: a head's output and the target's at the same
/// positions.
/// </summary>
/// <remarks>
/// p is the target's distribution and q the head's. Both are over the head's vocabulary, so p is renormalised.
/// Positions at which the target's best token lies outside of this vocabulary do not count (EAGLE-3). In shapes M is
/// the number of positions of the head's output, N the number of those that count, V' the size of the head's vocabulary
/// and D the width. Only q has gradients.
/// </remarks>
public sealed class DistillationTerms : IDisposable
{
    private readonly HeadOutput _output;
    private readonly TrainingBatch _batch;
    private readonly Tensor _logits;
    private readonly Tensor _targetPositions;
    private Tensor? _logQ, _q, _logP, _p, _labels;

    /// <param name="output">The head's output for one depth. The caller owns it.</param>
    /// <param name="batch">The batch that the output belongs to. The caller owns it.</param>
    public DistillationTerms(HeadOutput output, TrainingBatch batch)
    {
        (_output, _batch) = (output, batch);
        using var scope = NewDisposeScope();
        (_logits, _targetPositions) = (output.Logits.alias(), output.TargetPositions.alias());
        if (output.Vocabulary is not null)
        {
            var best = HeadIds(batch.BestTokens.index_select(0, output.TargetPositions));
            var counted = best.ge(0).nonzero().view(-1);
            (_logits, _targetPositions) = (_logits.index_select(0, counted), _targetPositions.index_select(0, counted));
        }
        _logits.DetachFromDisposeScope();
        _targetPositions.DetachFromDisposeScope();
    }

    /// <summary>The depth in the draft; 0 for the first drafted token.</summary>
    public int Depth => _output.Depth;

    /// <summary>The head's logits, [N,V'] in fp32.</summary>
    public Tensor Logits => _logits;

    /// <summary>log q, [N,V'].</summary>
    public Tensor LogQ => Cached(ref _logQ, () => _logits.log_softmax(-1));

    /// <summary>q, [N,V'].</summary>
    public Tensor Q => Cached(ref _q, () => _logits.softmax(-1));

    /// <summary>log p, [N,V'].</summary>
    public Tensor LogP => Cached(ref _logP, () => WithoutGradients(() =>
    {
        var logP = _batch.LogProbabilities.index_select(0, _targetPositions);   // over the target's vocabulary
        return _output.Vocabulary is { } vocabulary ? logP.index_select(1, vocabulary).log_softmax(-1) : logP;
    }));

    /// <summary>p, [N,V'].</summary>
    public Tensor P => Cached(ref _p, () => WithoutGradients(() =>
        _output.Vocabulary is null ? _batch.Probabilities.index_select(0, _targetPositions) : LogP.exp()));

    /// <summary>The expected acceptance at each position, Σ min(p, q), [N].</summary>
    public Tensor AcceptanceProbability => minimum(P, Q).sum(-1);

    /// <summary>
    /// The text's next token as an id of the head, [N] int64; -1 if it lies outside of the head's vocabulary.
    /// </summary>
    public Tensor Labels => Cached(ref _labels, () => HeadIds(_batch.Tokens.view(-1).index_select(0, _targetPositions + 1)));

    /// <summary>The features that the head predicts, [M,D] in fp32, at all positions of its output.</summary>
    /// <exception cref="KoalaException">The head predicts no features.</exception>
    public Tensor Features => _output.Features
        ?? throw KoalaException.ForOption("Losses", "compares features, but this kind of head predicts none",
            "train it with losses of distributions, or use an EAGLE head");

    /// <summary>The target's features at the same positions, [M,D] in fp32. This is a new tensor.</summary>
    public Tensor TargetFeatures => _batch.Features.index_select(0, _output.TargetPositions).to(ScalarType.Float32);

    /// <summary>
    /// Whether the head's best token is the target's, at all positions of the output, [M] bool. This is a new tensor.
    /// </summary>
    public Tensor Correct
    {
        get
        {
            using var scope = NewDisposeScope();
            var best = _output.Logits.argmax(-1);
            if (_output.Vocabulary is { } vocabulary) best = vocabulary.index_select(0, best);
            return (best == _batch.BestTokens.index_select(0, _output.TargetPositions)).MoveToOuterDisposeScope();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in (Tensor?[])[_logits, _targetPositions, _logQ, _q, _logP, _p, _labels]) tensor?.Dispose();
    }

    private static Tensor WithoutGradients(Func<Tensor> compute)
    {
        using var _ = no_grad();
        return compute();
    }

    // Computes a tensor once and keeps it, whatever dispose scope the first use is in.
    private static Tensor Cached(ref Tensor? cached, Func<Tensor> compute)
    {
        if (cached is not null) return cached;
        using var scope = NewDisposeScope();
        return cached = compute().DetachFromDisposeScope();
    }

    // Turns ids of the target into ids of the head; -1 where the head's vocabulary lacks the token.
    private Tensor HeadIds(Tensor tokens)
    {
        if (_output.Vocabulary is not { } vocabulary) return tokens;
        var ids = searchsorted(vocabulary, tokens).clamp_max(vocabulary.shape[0] - 1);
        return ids.where(vocabulary.index_select(0, ids) == tokens, tensor(-1L, device: tokens.device));
    }
}
