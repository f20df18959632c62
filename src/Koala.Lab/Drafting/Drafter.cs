using Koala.Lab.Drafting.Trees;
using static TorchSharp.torch;

namespace Koala.Lab.Drafting;

/// <summary>
/// Proposes tokens for B sequences, each of which advances at its own speed. F is the width of the features.
/// </summary>
public abstract class Drafter : IDisposable
{
    /// <summary>The largest depth that it can propose in a round.</summary>
    public abstract int MaxDraftLength { get; }

    /// <summary>
    /// Extends the drafter by what the target committed. The decoder calls it after every round, and where prompts begin.
    /// </summary>
    /// <param name="features">
    /// The target's features of each sequence's n committed tokens, [B,N,F], where N is the largest n; rows behind a
    /// sequence's own n are padding.
    /// </param>
    /// <param name="tokens">
    /// These n tokens of each sequence and the one that follows them, the new root: n + 1 tokens. None means that the
    /// sequence is left alone: it has ended, or only prompts of other sequences begin.
    /// </param>
    public abstract void Extend(Tensor features, IReadOnlyList<int[]> tokens);

    /// <summary>
    /// Forgets the text of a sequence, whose answer has ended. The next tokens that <see cref="Extend"/> gets for it, if any, are those of
    /// another prompt. The default does nothing; a drafter that keeps more of a text than its last token overrides it.
    /// </summary>
    /// <param name="sequence">The number of the sequence, from 0. It may have been forgotten before.</param>
    public virtual void Forget(int sequence)
    {
    }

    /// <summary>
    /// Proposes a tree after the root of every sequence. The proposal for a sequence that was forgotten has no meaning.
    /// </summary>
    public abstract IReadOnlyList<Draft> Propose(DraftTree tree, ITokenSampler sampler);

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees what the drafter keeps between rounds.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }
}
