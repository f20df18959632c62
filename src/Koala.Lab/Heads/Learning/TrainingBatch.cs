using Koala.Lab.Data;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Learning;

/// <summary>Packed rows with the target's features and distributions for them.</summary>
/// <remarks>
/// In shapes B is the number of rows, T the tokens per row, D the width and V the size of the vocabulary. A position in
/// the batch is counted as b·T + t.
/// </remarks>
public sealed class TrainingBatch : IDisposable
{
    private readonly IReadOnlyList<PackedRow> _rows;
    private readonly Target _target;
    private Tensor? _logProbabilities;
    private Tensor? _probabilities;
    private Tensor? _bestTokens;

    /// <summary>Runs the target over the rows once, without gradients.</summary>
    /// <param name="target">The target.</param>
    /// <param name="cache">A cache of the target for B sequences of T tokens.</param>
    /// <param name="rows">Rows of equal length.</param>
    /// <param name="featureLayers">The head's <see cref="DraftHead.FeatureLayers"/>; null means none.</param>
    /// <exception cref="KoalaException">The target's features are not finite.</exception>
    public TrainingBatch(Target target, KeyValueCache cache, IReadOnlyList<PackedRow> rows, IReadOnlyList<int>? featureLayers = null)
    {
        (_target, _rows) = (target, rows);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor Stack(Func<PackedRow, int[]> field)
        {
            long[] values = [.. rows.SelectMany(field)];
            return tensor(values, device: target.Device).view(rows.Count, -1).DetachFromDisposeScope();
        }
        foreach (var row in rows) TokenIds.Check(row.Tokens, target.Config.VocabularySize, nameof(rows));
        Tokens = Stack(r => r.Tokens);
        Positions = Stack(r => r.Positions);
        Segments = Stack(r => r.Segments);
        var (hidden, features) = target.Model.Features(cache, Tokens, Positions, Segments, featureLayers ?? []);
        Features = hidden.flatten(0, 1).DetachFromDisposeScope();
        DraftFeatures = featureLayers is { Count: > 0 } ? features.flatten(0, 1).DetachFromDisposeScope() : Features;
        if (Features.isfinite().all().item<bool>()) return;
        // Otherwise the learning rate would be blamed for the loss.
        Dispose();
        throw target.NotFinite();
    }

    /// <summary>The token ids, [B,T], int64.</summary>
    public Tensor Tokens { get; }

    /// <summary>The position of each token in its segment, [B,T], int64.</summary>
    public Tensor Positions { get; }

    /// <summary>
    /// The number of each token's segment, [B,T], int64. A token attends only to itself and to earlier tokens of its
    /// own segment.
    /// </summary>
    public Tensor Segments { get; }

    /// <summary>The target's hidden states after its final norm, [B·T,D].</summary>
    public Tensor Features { get; }

    /// <summary>
    /// The features that the head gets: <see cref="Features"/>, or the concatenated outputs of the head's feature
    /// layers, [B·T,D·layers].
    /// </summary>
    public Tensor DraftFeatures { get; }

    /// <summary>
    /// The number of steps of training-time test for a head that reads its own output. 1 or more, default 1. Other
    /// heads ignore it.
    /// </summary>
    public int TrainingTimeTestSteps { get; init; } = 1;

    /// <summary>
    /// The amplitude and the seed of the noise that <see cref="WithNoise"/> adds. The default is no noise.
    /// </summary>
    public (double Amplitude, long Seed) Noise { get; init; }

    /// <summary>
    /// Adds uniform noise between plus and minus the amplitude to features. Every call adds the same noise. The noise
    /// stands for the difference between the target's features and those that a head drafts from later.
    /// </summary>
    /// <remarks>After EAGLE (arXiv 2401.15077, section 4).</remarks>
    public Tensor WithNoise(Tensor features)
    {
        if (Noise.Amplitude == 0) return features;
        using var scope = NewDisposeScope();
        var noise = UniformNoise.Sample(features.shape, Noise.Seed, features.device) * Noise.Amplitude;
        return (features + noise.to(features.dtype)).MoveToOuterDisposeScope();
    }

    /// <summary>The target's distribution at every position, [B·T,V] in fp32.</summary>
    public Tensor Probabilities
    {
        get
        {
            using var _ = no_grad();
            return _probabilities ??= LogProbabilities.exp().DetachFromDisposeScope();
        }
    }

    /// <summary>The logarithm of the target's distribution at every position, [B·T,V] in fp32.</summary>
    public Tensor LogProbabilities
    {
        get
        {
            if (_logProbabilities is null)
            {
                using var scope = NewDisposeScope();
                using var _ = no_grad();
                _logProbabilities = _target.Logits(Features).to(ScalarType.Float32).log_softmax(-1).DetachFromDisposeScope();
            }
            return _logProbabilities;
        }
    }

    /// <summary>
    /// The target's best token at every position, [B·T] int64. These are the labels of greedy decoding.
    /// </summary>
    public Tensor BestTokens
    {
        get
        {
            using var _ = no_grad();
            return _bestTokens ??= LogProbabilities.argmax(-1).DetachFromDisposeScope();
        }
    }

    /// <summary>
    /// The positions t at which the token t+<paramref name="ahead"/> can be learned: all tokens from t+1 up to it
    /// belong to the same answer.
    /// </summary>
    public long[] LabelPositions(int ahead)
    {
        var positions = new List<long>();
        for (var b = 0; b < _rows.Count; b++)
        {
            var start = (long)b * _rows[b].Tokens.Length;
            positions.AddRange(_rows[b].LabelPositions(ahead).Select(t => start + t));
        }
        return [.. positions];
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in (Tensor[])[Tokens, Positions, Segments, Features, DraftFeatures]) tensor.Dispose();
        _probabilities?.Dispose();
        _logProbabilities?.Dispose();
        _bestTokens?.Dispose();
    }
}
