namespace Koala.Lab.Drafting;

/// <summary>The part of a target's vocabulary that a head predicts.</summary>
/// <remarks>
/// With a small target the LM head takes most of the time of a draft step, so a smaller vocabulary makes drafting
/// faster.
/// </remarks>
/// <param name="Tokens">The target's token for each of the head's own ids, ascending.</param>
/// <param name="TargetVocabularySize">The size of the target's vocabulary.</param>
public sealed record DraftVocabulary(IReadOnlyList<int> Tokens, int TargetVocabularySize)
{
    /// <summary>
    /// The vocabulary of the most frequent tokens; among equally frequent ones, those with the lowest ids.
    /// </summary>
    /// <param name="counts">How often each of the target's tokens occurs.</param>
    /// <param name="size">The number of tokens to take.</param>
    /// <param name="always">Tokens that are taken whatever their counts; at most <paramref name="size"/>.</param>
    public static DraftVocabulary MostFrequent(IReadOnlyList<long> counts, int size, IReadOnlyList<int> always)
    {
        var byFrequency = Enumerable.Range(0, counts.Count).OrderByDescending(token => counts[token]);
        var candidates = always.Concat(byFrequency).Distinct();
        return new DraftVocabulary([.. candidates.Take(size).Order()], counts.Count);
    }

    /// <summary>
    /// Converts siblings with the head's own ids into siblings with the target's ids; tokens outside have probability
    /// zero.
    /// </summary>
    public SampledToken[] FromTarget(SampledToken[] siblings)
    {
        // Siblings share the distribution they were drawn from.
        var complete = siblings.Length > 0 && siblings[0].Distribution is { } distribution ? Scatter(distribution) : null;
        return [.. siblings.Select(sampled => new SampledToken(Tokens[sampled.Token], sampled.Q, complete))];
    }

    private float[] Scatter(float[] distribution)
    {
        var complete = new float[TargetVocabularySize];
        for (var i = 0; i < distribution.Length; i++) complete[Tokens[i]] = distribution[i];
        return complete;
    }
}
