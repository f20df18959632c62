using Koala.Lab.Drafting.Trees;
using static TorchSharp.torch;

namespace Koala.Lab.Drafting;

/// <summary>Proposes tokens for B sequences, each at its own pace. F width of the features.</summary>
public abstract class Drafter : IDisposable
{
    /// <summary>The most tokens one after another that it can propose in a round.</summary>
    public abstract int MaxDraftLength { get; }

    /// <summary>Tells what the target committed: after the prompt once, then after every round.</summary>
    /// <param name="features">The target's features of each sequence's n committed tokens, [B,N,F] with N the largest n; rows behind a sequence's own n are padding.</param>
    /// <param name="tokens">Of each sequence those n tokens and the one that follows, the new root: n + 1. Empty: the sequence has ended and is left alone.</param>
    public abstract void Extend(Tensor features, IReadOnlyList<int[]> tokens);

    /// <summary>Proposes a tree after the root of every sequence. What it proposes for one that has ended means nothing.</summary>
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
