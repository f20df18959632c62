using Koala.Lab.Data;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Learning;

/// <summary>Packed rows with what the target says about them. B rows of T tokens, D width, V vocabulary; places are counted b·T + t.</summary>
public sealed class TrainingBatch : IDisposable
{
    private readonly IReadOnlyList<PackedRow> _rows;
    private readonly Target _target;
    private Tensor? _logProbabilities;
    private Tensor? _probabilities;
    private Tensor? _bestTokens;

    /// <summary>Runs the target over the rows once, without gradients.</summary>
    /// <param name="target">The target.</param>
    /// <param name="cache">Its memory for B sequences of T tokens.</param>
    /// <param name="rows">Rows of one length.</param>
    /// <param name="featureLayers">The head's <see cref="DraftHead.FeatureLayers"/>; null: none.</param>
    public TrainingBatch(Target target, KeyValueCache cache, IReadOnlyList<PackedRow> rows, IReadOnlyList<int>? featureLayers = null)
    {
        (_target, _rows) = (target, rows);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor Stack(Func<PackedRow, int[]> field) =>
            tensor(rows.SelectMany(field).Select(x => (long)x).ToArray(), device: target.Device).view(rows.Count, -1).DetachFromDisposeScope();
        (Tokens, Positions, Segments) = (Stack(r => r.Tokens), Stack(r => r.Positions), Stack(r => r.Segments));
        var (hidden, features) = target.Features(cache, Tokens, Positions, Segments, featureLayers ?? []);
        Features = hidden.flatten(0, 1).DetachFromDisposeScope();
        DraftFeatures = featureLayers is { Count: > 0 } ? features.flatten(0, 1).DetachFromDisposeScope() : Features;
    }

    /// <summary>[B,T], int64.</summary>
    public Tensor Tokens { get; }

    /// <summary>Position of each token in its segment, [B,T], int64.</summary>
    public Tensor Positions { get; }

    /// <summary>Number of each token's segment, [B,T], int64: tokens see earlier ones of their own segment only.</summary>
    public Tensor Segments { get; }

    /// <summary>The target's hidden states after its final norm, [B·T,D].</summary>
    public Tensor Features { get; }

    /// <summary>What the drafter gets of the target: <see cref="Features"/>, or the states of the head's feature layers side by side, [B·T,D·layers].</summary>
    public Tensor DraftFeatures { get; }

    /// <summary>Training-time test: how many steps a head goes that feeds on its own output. 1 or more, default 1. Heads that do not pay no attention.</summary>
    public int TrainingTimeTestSteps { get; init; } = 1;

    /// <summary>Amplitude and seed of what <see cref="WithNoise"/> adds; 0 by default: nothing.</summary>
    public (double Amplitude, long Seed) Noise { get; init; }

    /// <summary>Features with uniform noise between plus and minus the amplitude, the same at every call: what a head drafts from later is never quite the target's.</summary>
    /// <remarks>After EAGLE (arXiv 2401.15077, section 4).</remarks>
    public Tensor WithNoise(Tensor features)
    {
        if (Noise.Amplitude == 0) return features;
        using var scope = NewDisposeScope();
        var noise = UniformNoise.Sample(features.shape, Noise.Seed, features.device) * Noise.Amplitude;
        return (features + noise.to(features.dtype)).MoveToOuterDisposeScope();
    }

    /// <summary>The target's distribution at every place, [B·T,V] in fp32.</summary>
    public Tensor Probabilities
    {
        get
        {
            using var _ = no_grad();
            return _probabilities ??= LogProbabilities.exp().DetachFromDisposeScope();
        }
    }

    /// <summary>Its logarithm, [B·T,V] in fp32.</summary>
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

    /// <summary>The target's best token at every place, [B·T] int64: the truth of greedy decoding.</summary>
    public Tensor BestTokens
    {
        get
        {
            using var _ = no_grad();
            return _bestTokens ??= LogProbabilities.argmax(-1).DetachFromDisposeScope();
        }
    }

    /// <summary>
    /// Places t where an answer's token t+1 is decided and its token t+<paramref name="ahead"/> can be learned: all tokens from the one
    /// to the other belong to the same answer.
    /// </summary>
    public long[] LabelPositions(int ahead)
    {
        var places = new List<long>();
        for (var b = 0; b < _rows.Count; b++)
        {
            var row = _rows[b];
            for (var t = 0; t + ahead < row.Tokens.Length; t++)
                if (row.Segments[t] == row.Segments[t + ahead] && !row.LossMask.AsSpan(t + 1, ahead).Contains(false))
                    places.Add((long)b * row.Tokens.Length + t);
        }
        return [.. places];
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
