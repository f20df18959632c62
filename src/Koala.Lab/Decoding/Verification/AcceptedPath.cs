namespace Koala.Lab.Decoding.Verification;

/// <summary>Which candidates are kept and the target's own token after them.</summary>
/// <param name="Path">Indices of the kept candidates, the root's child first; each is a child of the one before.</param>
/// <param name="Bonus">The target's own token.</param>
internal readonly record struct AcceptedPath(IReadOnlyList<int> Path, int Bonus)
{
    /// <summary>Candidates kept.</summary>
    public int Accepted => Path.Count;

    /// <summary>Rows of the step that stay: the root's and those of the kept candidates.</summary>
    public IReadOnlyList<int> Rows => [0, .. Path.Select(i => i + 1)];
}
