namespace Koala.Lab.Decoding.Verification;

/// <summary>The accepted candidates and the target's own token after them.</summary>
/// <param name="Path">
/// The indices of the accepted candidates, the root's child first. Each one is a child of the one before it.
/// </param>
/// <param name="Bonus">The bonus token, which is the target's own.</param>
internal readonly record struct AcceptedPath(IReadOnlyList<int> Path, int Bonus)
{
    /// <summary>The number of accepted candidates.</summary>
    public int Accepted => Path.Count;

    /// <summary>
    /// The rows of the step that the cache keeps: the root's row and those of the accepted candidates.
    /// </summary>
    public IReadOnlyList<int> Rows => [0, .. Path.Select(i => i + 1)];
}
