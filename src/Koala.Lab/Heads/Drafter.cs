using static TorchSharp.torch;

namespace Koala.Lab.Heads;

/// <summary>Proposes tokens for one sequence. A head makes one for each answer; drafters without a head fit here too.</summary>
public abstract class Drafter : IDisposable
{
    /// <summary>The most tokens it can propose in a round.</summary>
    public abstract int MaxDraftLength { get; }

    /// <summary>Tells what the target committed: after the prompt once, then after every round.</summary>
    /// <param name="features">The target's hidden states of n committed tokens, [n, hidden].</param>
    /// <param name="next">The token that follows each of them; the last one is the new root.</param>
    public abstract void CatchUp(Tensor features, ReadOnlySpan<int> next);

    /// <summary>Proposes at most <paramref name="length"/> tokens after the root.</summary>
    public abstract Draft Propose(int length, ICandidateChooser chooser);

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
