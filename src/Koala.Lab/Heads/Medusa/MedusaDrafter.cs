using Koala.Lab.Drafting;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Medusa;

/// <summary>
/// Drafts from the last committed hidden state of each sequence. All heads run at once, since none depends on the
/// candidates before it.
/// </summary>
internal sealed class MedusaDrafter(MedusaHead head, Target target, int batch) : LevelDrafter
{
    // The last committed hidden state of each sequence, [B,D].
    private readonly Tensor _last = zeros(batch, target.Config.HiddenSize, target.Dtype, target.Device).DetachFromDisposeScope();

    private readonly MedusaCpuWeights? _packed = head.PackFor(target);
    private Tensor? _logits;   // the logits of this round, [n,B,V]
    private int _level;

    public override int MaxDraftLength => head.MaxDraftLength;

    public override int Batch => batch;

    public override void Extend(Tensor features, IReadOnlyList<int[]> tokens)
    {
        using var scope = NewDisposeScope();
        for (var b = 0; b < batch; b++)
            if (tokens[b].Length > 0) _last[b].copy_(features[b, tokens[b].Length - 2]);
    }

    public override Tensor First()
    {
        _logits?.Dispose();
        _logits = Logits(head.MaxDraftLength).DetachFromDisposeScope();
        _level = 0;
        return _logits[0];
    }

    public override Tensor Next(IReadOnlyList<int[]> tokens, IReadOnlyList<int[]> parents) =>
        _logits![++_level];

    /// <inheritdoc/>
    public override Tensor GreedyChain(int length)
    {
        using var scope = NewDisposeScope();
        return BestTokens.OnHost(Logits(length)).t().contiguous().MoveToOuterDisposeScope();
    }

    internal override KoalaException NotFinite() => head.NotFinite();

    // The logits of the first heads, [n,B,V].
    private Tensor Logits(int heads) => _packed?.Logits(_last, target.Model.Cpu!, heads) ?? head.Logits(_last, target, heads);

    protected override void Dispose(bool disposing)
    {
        _last.Dispose();
        _logits?.Dispose();
        base.Dispose(disposing);
    }
}
