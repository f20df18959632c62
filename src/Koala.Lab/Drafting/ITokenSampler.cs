using static TorchSharp.torch;

namespace Koala.Lab.Drafting;

/// <summary>A token that was sampled from a head's logits.</summary>
/// <param name="Token">The id of the token; -1 if the logits are not finite, which ends the generation with an error.</param>
/// <param name="Q">The head's probability of the token; null where it is not needed.</param>
/// <param name="Distribution">
/// The distribution it was drawn from, [vocabulary]; null if it was chosen and not drawn.
/// </param>
public readonly record struct SampledToken(int Token, float? Q, float[]? Distribution);

/// <summary>Turns a drafter's logits into candidates: the best ones, or draws. The decoder supplies it.</summary>
public interface ITokenSampler
{
    /// <summary>
    /// Whether it takes the best token and needs nothing else of the logits, so that a drafter may take that token on
    /// the device. The default is false.
    /// </summary>
    bool IsGreedy => false;

    /// <summary>Samples candidates from each row of logits.</summary>
    /// <param name="logits">The logits, [B·n,V], sequence by sequence.</param>
    /// <param name="count">
    /// The number of candidates per row. They differ from each other, and the best or the first drawn one comes first;
    /// there are fewer where the distribution has no more.
    /// </param>
    /// <returns>The candidates of each row.</returns>
    IReadOnlyList<SampledToken[]> Sample(Tensor logits, int count);

    /// <summary>
    /// As <see cref="Sample(Tensor, int)"/>, but each row serves several parents in turn, and each of them gets new
    /// draws.
    /// </summary>
    /// <param name="logits">The logits, [B·n,V], sequence by sequence.</param>
    /// <param name="count">The number of candidates per parent.</param>
    /// <param name="times">The number of parents per row.</param>
    /// <returns>The candidates of each parent, those of the first row first.</returns>
    IReadOnlyList<SampledToken[]> Sample(Tensor logits, int count, int times) =>
        times == 1 ? Sample(logits, count) : [.. Sample(logits, count).SelectMany(row => Enumerable.Repeat(row, times))];

    /// <summary>One candidate for each of some sequences. A sampler that draws takes each from the random stream of its sequence.</summary>
    /// <param name="logits">The logits, one row for each of these sequences.</param>
    /// <param name="sequences">The numbers of the sequences in the batch.</param>
    /// <returns>The candidate of each row.</returns>
    IReadOnlyList<SampledToken[]> Sample(Tensor logits, IReadOnlyList<int> sequences) => Sample(logits, count: 1);
}
