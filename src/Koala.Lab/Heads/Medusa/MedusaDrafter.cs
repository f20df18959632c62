using Koala.Lab.Drafting;
using Koala.Lab.Runtime.Cuda;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Medusa;

/// <summary>
/// Drafts from the last committed hidden state of each sequence. All heads run at once, since none depends on the
/// candidates before it; a Markov bias is added to their logits when the token before is known. On a GPU a greedy chain is one captured
/// graph.
/// </summary>
internal sealed class MedusaDrafter(MedusaHead head, Target target, int batch) : LevelDrafter
{
    // The last committed hidden state of each sequence, [B,D].
    private readonly Tensor _last = zeros(batch, target.Config.HiddenSize, target.Dtype, target.Device).DetachFromDisposeScope();

    private readonly long[] _roots = new long[batch];   // the last committed token of each sequence
    private readonly MedusaCpuWeights? _packed = head.PackFor(target);
    private Tensor? _logits;   // the logits of this round, [n,B,V]
    private int _level;
    private int _rowsPerSequence;   // of the latest logits

    public override int MaxDraftLength => head.MaxDraftLength;

    public override int Batch => batch;

    public override void Extend(Tensor features, IReadOnlyList<int[]> tokens)
    {
        using var scope = NewDisposeScope();
        for (var b = 0; b < batch; b++)
        {
            if (tokens[b].Length == 0) continue;
            _last[b].copy_(features[b, tokens[b].Length - 2]);
            _roots[b] = tokens[b][^1];
        }
    }

    public override Tensor First()
    {
        _logits?.Dispose();
        _logits = Logits(_last, head.MaxDraftLength).DetachFromDisposeScope();
        (_level, _rowsPerSequence) = (0, 1);
        return After(_roots, _logits[0]);
    }

    public override Tensor Next(IReadOnlyList<int[]> tokens, IReadOnlyList<int[]> parents)
    {
        var logits = _logits![++_level];
        if (head.Markov is null) return logits;
        // A row for each candidate, since they differ in the token before.
        _rowsPerSequence = tokens[0].Length;
        return After([.. tokens.SelectMany(of => of).Select(token => (long)token)], logits.repeat_interleave(tokens[0].Length, 0));
    }

    /// <inheritdoc/>
    public override Tensor GreedyChain(int length)
    {
        using var scope = NewDisposeScope();
        if (_packed is not null && head.Markov is null)
            return BestTokens.OnHost(Logits(_last, length)).t().contiguous().MoveToOuterDisposeScope();
        var key = new GraphKey($"chain of {length}", batch, 0);
        var tokens = head.Graphs(target).Run(key, [_last, tensor(_roots)], x => [GreedyChain(x[0], x[1], length)])[0];
        return tokens.cpu().MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override float[]? Confidences(bool sampled)
    {
        if (head.Confidences(_last, _level, sampled) is not { } confidences) return null;
        // With a Markov bias there is a row of logits for each candidate, and the confidence does not depend on the candidate.
        return [.. confidences.SelectMany(confidence => Enumerable.Repeat(confidence, _rowsPerSequence))];
    }

    internal override KoalaException NotFinite() => head.NotFinite();

    // Logits with what the tokens before them add, [N,V].
    private Tensor After(long[] tokens, Tensor logits) => head.Markov is { } markov
        ? logits + markov.Logits(tensor(tokens, device: target.Device), logits.dtype)
        : logits;

    // The logits of the first heads, [n,B,V], without the Markov bias.
    private Tensor Logits(Tensor last, int heads) => _packed?.Logits(last, target.Model.Cpu!, heads) ?? head.Logits(last, target, heads);

    // The best tokens after each root, [B,length], on the device.
    private Tensor GreedyChain(Tensor last, Tensor roots, int length)
    {
        var logits = Logits(last, length);
        if (head.Markov is not { } markov) return BestTokens.OnDevice(logits).t().contiguous();
        var tokens = new List<Tensor>();
        for (var i = 0; i < length; i++)
        {
            // A token that is none, since its logits are not finite, ends in an error.
            var before = i == 0 ? roots : tokens[^1].clamp_min(0);
            tokens.Add(BestTokens.OnDevice(logits[i] + markov.Logits(before, logits.dtype)));
        }
        return stack(tokens, 1);
    }

    protected override void Dispose(bool disposing)
    {
        _last.Dispose();
        _logits?.Dispose();
        base.Dispose(disposing);
    }
}
