using Koala.Lab.Drafting.Trees;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Drafting;

/// <summary>
/// A drafter that returns logits, one level of the tree after another, and lets the <see cref="DraftTree"/> decide
/// which candidates follow.
/// </summary>
/// <remarks>B sequences, n candidates of each per level, V' the drafter's vocabulary.</remarks>
public abstract class LevelDrafter : Drafter
{
    /// <summary>The number of sequences, B.</summary>
    public abstract int Batch { get; }

    /// <summary>The tokens that its logits are about; null means all of the target's tokens.</summary>
    public virtual DraftVocabulary? Vocabulary => null;

    /// <summary>Logits of the token after each root, [B,V'].</summary>
    public abstract Tensor First();

    /// <summary>
    /// Logits of the tokens after the candidates of one level. Only candidates that have children are passed.
    /// </summary>
    /// <param name="tokens">
    /// The n candidates of each sequence, as ids of the target's vocabulary; n is the same for all sequences.
    /// </param>
    /// <param name="parents">
    /// The index of each candidate's parent among the candidates of the previous call; 0 where that call was
    /// <see cref="First"/>.
    /// </param>
    /// <returns>
    /// [B·n,V'], sequence by sequence; or [B,V'], if they are the same after all candidates of a sequence.
    /// </returns>
    public abstract Tensor Next(IReadOnlyList<int[]> tokens, IReadOnlyList<int[]> parents);

    /// <summary>
    /// The probability, as the head sees it, that the target will accept the token after each parent of the latest
    /// <see cref="First"/> or <see cref="Next"/>. It follows from the tokens before that token. Null, the default, means that the drafter
    /// has no such output.
    /// </summary>
    /// <param name="sampled">Whether tokens are sampled, at about temperature 1; otherwise decoding is greedy.</param>
    /// <returns>A number from 0 to 1 for each row of the logits.</returns>
    public virtual float[]? Confidences(bool sampled) => null;

    /// <summary>
    /// The best token after each root, the best one after that, and so on, according to the logits of
    /// <see cref="First"/> and <see cref="Next"/>. The tokens are chosen on the device, and the host reads nothing in
    /// between. Null, the default, means that the drafter cannot do this and that those two methods are called.
    /// </summary>
    /// <param name="length">The number of tokens, at most <see cref="Drafter.MaxDraftLength"/>.</param>
    /// <returns>
    /// The tokens as ids of the target's vocabulary, [B,length], int64, on the host. -1 stands for a token whose logits are not finite.
    /// </returns>
    public virtual Tensor? GreedyChain(int length) => null;

    /// <summary>
    /// The trees that <see cref="DynamicTree"/> would make of the logits of <see cref="First"/> and <see cref="Next"/>, where the device
    /// plans them and the host reads nothing in between. Null, the default, means that the drafter cannot do this.
    /// </summary>
    /// <returns>A draft for each sequence.</returns>
    internal virtual IReadOnlyList<Draft>? LikeliestTrees(DynamicTree tree) => null;

    /// <inheritdoc/>
    public sealed override IReadOnlyList<Draft> Propose(DraftTree tree, ITokenSampler sampler) => tree.Grow(this, sampler);

    /// <summary>
    /// The error for logits that are not finite. Without it a broken head would seem to draft tokens that the target never accepts.
    /// </summary>
    internal virtual KoalaException NotFinite() =>
        new("the draft source", "has logits that are not finite (NaN or infinity)", "use another head");

    /// <summary>Samples candidates from logits, as tokens of the target.</summary>
    /// <param name="sampler">The sampler, which takes the best candidates or draws them.</param>
    /// <param name="logits">The logits that <see cref="First"/> or <see cref="Next"/> returned.</param>
    /// <param name="count">The number of candidates per parent.</param>
    /// <param name="parents">n, the number of parents of each sequence.</param>
    /// <returns>The candidates of each of the B·n parents, sequence by sequence.</returns>
    internal IReadOnlyList<SampledToken[]> Sample(ITokenSampler sampler, Tensor logits, int count, int parents)
    {
        return OfTarget(sampler.Sample(logits, count, times: (int)(Batch * parents / logits.shape[0])));
    }

    /// <summary>Samples one token after a parent of each of some sequences, as tokens of the target.</summary>
    /// <param name="sampler">The sampler, which takes the best token or draws one.</param>
    /// <param name="logits">The logits of all sequences, [B,V'].</param>
    /// <param name="sequences">The sequences that get a token, in ascending order.</param>
    /// <returns>A token for each of these sequences.</returns>
    internal IEnumerable<SampledToken> Sample(ITokenSampler sampler, Tensor logits, int[] sequences)
    {
        using var scope = NewDisposeScope();
        var rows = sequences.Length == Batch
            ? logits
            : logits.index_select(0, tensor(sequences.Select(b => (long)b).ToArray(), device: logits.device));
        return OfTarget(sampler.Sample(rows, sequences)).Select(siblings => siblings[0]);
    }

    private IReadOnlyList<SampledToken[]> OfTarget(IReadOnlyList<SampledToken[]> sampled)
    {
        if (sampled.Any(siblings => siblings is [{ Token: BestTokens.None }, ..])) throw NotFinite();
        return Vocabulary is { } vocabulary ? [.. sampled.Select(vocabulary.FromTarget)] : sampled;
    }
}
