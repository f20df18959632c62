using Koala.Lab.Drafting.Trees;
using static TorchSharp.torch;

namespace Koala.Lab.Drafting;

/// <summary>A drafter that gives distributions, level after level of the tree, and leaves it to the tree's shape which candidates follow. V' its vocabulary.</summary>
public abstract class LevelDrafter : Drafter
{
    /// <summary>Sequences.</summary>
    public abstract int Batch { get; }

    /// <summary>Which tokens its logits are about; null: all of the target's.</summary>
    public virtual DraftVocabulary? Vocabulary => null;

    /// <summary>Logits of the token after each root, [B,V'].</summary>
    public abstract Tensor First();

    /// <summary>Logits of the tokens after candidates, a level at a time; only candidates that have children are given.</summary>
    /// <param name="tokens">Of each sequence n candidates, as many in each; ids of the target's vocabulary.</param>
    /// <param name="parents">Of each its parent's place among the candidates of the call before; 0 where that was <see cref="First"/>.</param>
    /// <returns>[B·n,V'], sequence by sequence; or [B,V'], where they are the same after all candidates of a sequence.</returns>
    public abstract Tensor Next(IReadOnlyList<int[]> tokens, IReadOnlyList<int[]> parents);

    /// <summary>
    /// The best token after each root, the best one after that, and so on, chosen on the device with nothing read on the host between: as <see cref="First"/>
    /// and <see cref="Next"/> give them. Null, the default: it cannot, and they are asked.
    /// </summary>
    /// <param name="length">Tokens, at most <see cref="Drafter.MaxDraftLength"/>.</param>
    /// <returns>[B,length] int64, of the target's vocabulary, on the host.</returns>
    public virtual Tensor? GreedyChain(int length) => null;

    /// <inheritdoc/>
    public sealed override IReadOnlyList<Draft> Propose(DraftTree tree, ITokenSampler sampler) => tree.Grow(this, sampler);

    /// <summary>Candidates from logits, as tokens of the target.</summary>
    /// <param name="sampler">Takes the best or draws.</param>
    /// <param name="logits">Of <see cref="First"/> or <see cref="Next"/>.</param>
    /// <param name="count">Candidates a parent.</param>
    /// <param name="parents">n: parents of each sequence.</param>
    /// <returns>The choices for each of B·n parents, sequence by sequence.</returns>
    internal IReadOnlyList<SampledToken[]> Sample(ITokenSampler sampler, Tensor logits, int count, int parents)
    {
        var sampled = sampler.Sample(logits, count, times: (int)(Batch * parents / logits.shape[0]));
        return Vocabulary is { } vocabulary ? [.. sampled.Select(vocabulary.FromTarget)] : sampled;
    }
}
