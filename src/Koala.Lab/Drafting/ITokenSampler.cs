using static TorchSharp.torch;

namespace Koala.Lab.Drafting;

/// <summary>A token taken from a head's logits.</summary>
/// <param name="Token">Its id.</param>
/// <param name="Q">The head's probability of it; null where nobody asked.</param>
/// <param name="Distribution">What it was drawn from, [vocabulary]; null when it was chosen and not drawn.</param>
public readonly record struct SampledToken(int Token, float? Q, float[]? Distribution);

/// <summary>How a drafter turns logits into candidates: the best ones, or draws. The decoder supplies it.</summary>
public interface ITokenSampler
{
    /// <summary>Whether it takes the best token and asks nothing more of the logits: then a drafter may take it on the device. Default false.</summary>
    bool IsGreedy => false;

    /// <param name="logits">[B·n,V], sequence by sequence.</param>
    /// <param name="count">Candidates a row: different ones, the best or the first drawn first; fewer where the distribution has no more.</param>
    /// <returns>The choices of each row.</returns>
    IReadOnlyList<SampledToken[]> Sample(Tensor logits, int count);

    /// <summary>As <see cref="Sample(Tensor, int)"/>, each row for several parents one after another: drawn for each anew.</summary>
    /// <param name="logits">[B·n,V], sequence by sequence.</param>
    /// <param name="count">Candidates a parent.</param>
    /// <param name="times">Parents a row.</param>
    /// <returns>The choices of each parent, those of the first row first.</returns>
    IReadOnlyList<SampledToken[]> Sample(Tensor logits, int count, int times) =>
        times == 1 ? Sample(logits, count) : [.. Sample(logits, count).SelectMany(row => Enumerable.Repeat(row, times))];
}
