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
/// The outputs of a head at a position of the text are a chain: the draft that would start there, whose depths follow
/// one another in the text. What depends on the depths before needs <see cref="OfAllDepths"/>.
/// </remarks>
public sealed class DistillationTerms : IDisposable
{
    private readonly HeadOutput _output;
    private readonly TrainingBatch _batch;
    private readonly DistillationTerms? _before;
    private readonly Tensor? _counted;   // of the M positions those that count; null means all
    private readonly Tensor _logits;
    private readonly Tensor _targetPositions;
    private Tensor? _logQ, _q, _logP, _p, _labels, _acceptance, _reach, _correct, _drafted;

    /// <param name="output">The head's output for one depth. The caller owns it.</param>
    /// <param name="batch">The batch that the output belongs to. The caller owns it.</param>
    /// <param name="before">
    /// The terms of the depth before, which must live as long as these; null at the first depth, or if nothing is asked
    /// about chains.
    /// </param>
    public DistillationTerms(HeadOutput output, TrainingBatch batch, DistillationTerms? before = null)
    {
        (_output, _batch, _before) = (output, batch, before);
        using var scope = NewDisposeScope();
        (_logits, _targetPositions) = (output.Logits.alias(), output.TargetPositions.alias());
        if (output.Vocabulary is not null)
        {
            var best = HeadIds(batch.BestTokens.index_select(0, output.TargetPositions));
            _counted = best.ge(0).nonzero().view(-1).DetachFromDisposeScope();
            (_logits, _targetPositions) = (_logits.index_select(0, _counted), _targetPositions.index_select(0, _counted));
        }
        _logits.DetachFromDisposeScope();
        _targetPositions.DetachFromDisposeScope();
    }

    /// <summary>The terms of all outputs of a head, in the order of their depths. Each knows the one before it.</summary>
    /// <param name="outputs">The outputs, in the order of their depths. The caller owns them.</param>
    /// <param name="batch">The batch that they belong to. The caller owns it.</param>
    /// <returns>The terms, which the caller must dispose.</returns>
    public static IReadOnlyList<DistillationTerms> OfAllDepths(IReadOnlyList<HeadOutput> outputs, TrainingBatch batch)
    {
        var all = new List<DistillationTerms>();
        foreach (var output in outputs) all.Add(new DistillationTerms(output, batch, all.LastOrDefault()));
        return all;
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
    public Tensor AcceptanceProbability => Cached(ref _acceptance, () => minimum(P, Q).sum(-1));

    /// <summary>
    /// The probability that a chain gets to each position: the product of the expected acceptances at the depths before,
    /// [N]. It is 1 at the first depth, and 0 behind a position that does not count.
    /// </summary>
    public Tensor ReachProbability => Cached(ref _reach, () => _before is null
        ? ones_like(_targetPositions, ScalarType.Float32)
        : OnePositionOn(_before._targetPositions, _before.ReachProbability * _before.AcceptanceProbability, _targetPositions));

    /// <summary>
    /// Whether all tokens that the chain drafted before are the target's best tokens, at all positions of the output,
    /// [M] bool.
    /// </summary>
    public Tensor CorrectBefore => Cached(ref _drafted, () => WithoutGradients(() => _before is null
        ? ones_like(_output.TargetPositions, ScalarType.Bool)
        : OnePositionOn(_before._output.TargetPositions, _before.CorrectBefore.logical_and(_before.Correct).to(ScalarType.Float32),
            _output.TargetPositions).gt(0)));

    /// <summary>
    /// Whether the chain makes its first error here: its tokens before are correct and this one is not. [N] bool, or [M]
    /// for losses of features. This is a new tensor.
    /// </summary>
    internal Tensor FirstErrors(bool ofFeatures)
    {
        using var scope = NewDisposeScope();
        var errors = CorrectBefore.logical_and(Correct.logical_not());
        return (ofFeatures || _counted is null ? errors : errors.index_select(0, _counted)).MoveToOuterDisposeScope();
    }

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

    /// <summary>The target's hidden states that decide the token at each position, [N,D]. This is a new tensor.</summary>
    public Tensor TargetStates => _batch.Features.index_select(0, _targetPositions);

    /// <summary>
    /// The target's hidden states one position before each position of the output, [M,D]. This is a new tensor.
    /// </summary>
    internal Tensor StatesBefore => _batch.Features.index_select(0, _output.TargetPositions - 1);

    /// <summary>
    /// The position of the text behind which the chain of each position starts, [N] int64 on the CPU. This is a new tensor.
    /// </summary>
    internal Tensor Chains => (_targetPositions - Depth).cpu();

    /// <summary>Whether the head's best token is the target's, at all positions of the output, [M] bool.</summary>
    public Tensor Correct => Cached(ref _correct, () => WithoutGradients(() =>
    {
        var best = _output.Logits.argmax(-1);
        if (_output.Vocabulary is { } vocabulary) best = vocabulary.index_select(0, best);
        return best == _batch.BestTokens.index_select(0, _output.TargetPositions);
    }));

    /// <summary>
    /// The logits of the head's confidences at all positions of the output, [M,2]; null for a head without a confidence output.
    /// </summary>
    public Tensor? Confidence => _output.Confidence;

    /// <summary>
    /// What the confidences are about, [M,2] without gradients: whether the head's best token is the target's, 0 or 1, and the expected
    /// acceptance of a token that the head draws, Σ min(p, q) with p over the target's whole vocabulary. This is a new tensor.
    /// </summary>
    public Tensor Accepted
    {
        get
        {
            using var scope = NewDisposeScope();
            using var _ = no_grad();
            return stack([Correct.to(ScalarType.Float32), ExpectedAcceptance()], 1).MoveToOuterDisposeScope();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Tensor?[] all =
            [_counted, _logits, _targetPositions, _logQ, _q, _logP, _p, _labels, _acceptance, _reach, _correct, _drafted];
        foreach (var tensor in all) tensor?.Dispose();
    }

    // Carries values at positions of the depth before on to the positions of this depth, each of which comes one after
    // its own. Positions that the depth before lacks get 0.
    private Tensor OnePositionOn(Tensor from, Tensor values, Tensor to) =>
        zeros(_batch.Tokens.numel() + 1, device: values.device).index_add(0, from + 1, values, 1).index_select(0, to);

    private Tensor ExpectedAcceptance()
    {
        if (_output.Vocabulary is not { } vocabulary) return AcceptanceProbability.detach();
        var p = _batch.Probabilities.index_select(0, _output.TargetPositions).index_select(1, vocabulary);
        return minimum(p, _output.Logits.softmax(-1)).sum(-1);
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
