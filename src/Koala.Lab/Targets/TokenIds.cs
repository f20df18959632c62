namespace Koala.Lab.Targets;

/// <summary>Checks token ids before they reach libtorch, whose own check is a native exception.</summary>
internal static class TokenIds
{
    /// <param name="ids">The ids.</param>
    /// <param name="vocabulary">The number of tokens that the model has.</param>
    /// <param name="name">The name of the caller's parameter.</param>
    /// <exception cref="ArgumentNullException">There is no list.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An id is negative, or not below the vocabulary's size.</exception>
    public static void Check(IReadOnlyList<int> ids, int vocabulary, string name)
    {
        ArgumentNullException.ThrowIfNull(ids, name);
        for (var i = 0; i < ids.Count; i++)
            if ((uint)ids[i] >= (uint)vocabulary)
                throw new ArgumentOutOfRangeException(name, ids[i],
                    $"The token id at index {i} is not below the size of the vocabulary, {vocabulary}.");
    }
}
