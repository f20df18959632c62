namespace Koala.Lab.Drafting;

/// <summary>The part of a target's vocabulary that a head predicts over: the LM head is most of a draft step of a small target.</summary>
/// <param name="Tokens">The target's token of each of the head's own ids, rising.</param>
/// <param name="Complete">Size of the target's vocabulary.</param>
public sealed record DraftVocabulary(IReadOnlyList<int> Tokens, int Complete)
{
    /// <summary>The most frequent tokens; of equally frequent ones those with the lowest ids.</summary>
    /// <param name="counts">How often each of the target's tokens occurs.</param>
    /// <param name="size">Tokens to take.</param>
    /// <param name="always">Tokens that are among them whatever their counts; at most <paramref name="size"/>.</param>
    public static DraftVocabulary MostFrequent(IReadOnlyList<long> counts, int size, IReadOnlyList<int> always) =>
        new([.. always.Distinct().Concat(Enumerable.Range(0, counts.Count).OrderByDescending(token => counts[token])).Distinct().Take(size).Order()], counts.Count);

    /// <summary>Siblings among the head's own ids as siblings among the target's; tokens outside have probability zero.</summary>
    public SampledToken[] FromTarget(SampledToken[] siblings)
    {
        // Siblings share what they were drawn from.
        var whole = siblings.Length > 0 && siblings[0].Distribution is { } part ? Widened(part) : null;
        return [.. siblings.Select(sampled => new SampledToken(Tokens[sampled.Token], sampled.Q, whole))];
    }

    private float[] Widened(float[] part)
    {
        var whole = new float[Complete];
        for (var i = 0; i < part.Length; i++) whole[Tokens[i]] = part[i];
        return whole;
    }
}
