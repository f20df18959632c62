using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Medusa;

/// <summary>Drafts a chain from the last committed hidden state: all heads at once, no state but that.</summary>
internal sealed class MedusaDrafter(MedusaHead head, Target target) : Drafter
{
    private Tensor? _last;   // [1,D]

    public override int MaxDraftLength => head.MaxDraftLength;

    public override void CatchUp(Tensor features, ReadOnlySpan<int> next)
    {
        _last?.Dispose();
        _last = features.narrow(0, features.shape[0] - 1, 1).clone().DetachFromDisposeScope();
    }

    public override Draft Propose(int length, ICandidateChooser chooser)
    {
        if (_last is null) throw new InvalidOperationException("a draft was asked for before the prompt");
        using var scope = NewDisposeScope();
        var logits = head.Logits(_last, target).squeeze(1).narrow(0, 0, Math.Min(length, MaxDraftLength));   // [length,V]
        return Draft.Chain(chooser.Choose(logits));
    }

    protected override void Dispose(bool disposing)
    {
        _last?.Dispose();
        base.Dispose(disposing);
    }
}
