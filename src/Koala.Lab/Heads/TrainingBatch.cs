using Koala.Lab.Data;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Heads;

/// <summary>Packed rows with what the target says about them. B rows of T tokens, D width, V vocabulary; places are counted b·T + t.</summary>
public sealed class TrainingBatch : IDisposable
{
    private readonly IReadOnlyList<PackedRow> _rows;
    private readonly Target _target;
    private Tensor? _logProbabilities;
    private Tensor? _probabilities;

    /// <summary>Runs the target over the rows once, without gradients.</summary>
    /// <param name="target">The target.</param>
    /// <param name="cache">Its memory for B sequences of T tokens.</param>
    /// <param name="rows">Rows of one length.</param>
    public TrainingBatch(Target target, KeyValueCache cache, IReadOnlyList<PackedRow> rows)
    {
        (_target, _rows) = (target, rows);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Tensor Stack(Func<PackedRow, int[]> field) =>
            tensor(rows.SelectMany(field).Select(x => (long)x).ToArray(), device: target.Device).view(rows.Count, -1);
        Tokens = Stack(r => r.Tokens).DetachFromDisposeScope();
        Features = target.Features(cache, Tokens, Stack(r => r.Positions), Stack(r => r.Segments), []).Hidden.view(-1, target.Config.HiddenSize).DetachFromDisposeScope();
    }

    /// <summary>[B,T], int64.</summary>
    public Tensor Tokens { get; }

    /// <summary>The target's hidden states after its final norm, [B·T,D].</summary>
    public Tensor Features { get; }

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

    /// <summary>
    /// Places t where an answer's token t+1 is decided and its token t+<paramref name="ahead"/> can be learned: all tokens from the one
    /// to the other belong to the same answer.
    /// </summary>
    public long[] Places(int ahead)
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
        Tokens.Dispose();
        Features.Dispose();
        _probabilities?.Dispose();
        _logProbabilities?.Dispose();
    }
}
