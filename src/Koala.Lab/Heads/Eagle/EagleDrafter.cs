using Koala.Lab.Drafting;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Eagle;

/// <summary>
/// Drafts with an EAGLE head. The head first reads the committed pairs, then drafts level after level from its own
/// outputs.
/// </summary>
/// <remarks>
/// The head's cache holds the committed pairs of each sequence. The candidates of a round are stored behind them, level
/// by level, until committed pairs overwrite them. So nothing that was computed from the head's own features stays.
/// </remarks>
/// <param name="head">The head.</param>
/// <param name="target">Its target.</param>
/// <param name="batch">The number of sequences, B.</param>
internal abstract class EagleDrafter(EagleHead head, Target target, int batch) : LevelDrafter
{
    public override int MaxDraftLength => Head.MaxDraftLength;

    public override int Batch { get; } = batch;

    public override DraftVocabulary? Vocabulary => Head.Vocabulary;

    /// <summary>The outputs from which the latest logits were computed, [B·n,D] with n candidates of each sequence.</summary>
    internal abstract Tensor Outputs { get; }

    /// <inheritdoc/>
    public override float[]? Confidences(bool sampled) => Head.Confidences(Outputs, sampled);

    internal override KoalaException NotFinite() => Head.NotFinite();

    protected EagleHead Head { get; } = head;

    protected Target Target { get; } = target;
}
