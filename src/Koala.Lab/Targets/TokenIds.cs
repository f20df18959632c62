namespace Koala.Lab.Targets;

/// <summary>Checks token ids before they reach libtorch, whose own check is a native exception.</summary>
internal static class TokenIds
{
    /// <param name="ids">The ids.</param>
    /// <param name="vocabulary">The number of tokens that the model has.</param>
    /// <param name="name">The name of the caller's parameter.</param>
    /// <exception cref="KoalaException">There is no list, or an id is negative or not below the vocabulary's size.</exception>
    public static void Check(IReadOnlyList<int> ids, int vocabulary, string name)
    {
        KoalaException.ThrowIfNull(ids, name);
        for (var i = 0; i < ids.Count; i++)
            if ((uint)ids[i] >= (uint)vocabulary)
                throw new KoalaException(name, $"contains the token {ids[i]} at index {i}, but the vocabulary ends at {vocabulary - 1}",
                    "pass ids of the target's own tokenizer");
    }
}
