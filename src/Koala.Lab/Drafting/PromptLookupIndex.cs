namespace Koala.Lab.Drafting;

/// <summary>
/// A growing text of tokens, and the last occurrence of each run of a few of them. The time of appending and of looking
/// up does not depend on the length of the text.
/// </summary>
internal sealed class PromptLookupIndex(int shortest, int longest)
{
    private readonly List<int> _tokens = [];
    private readonly Dictionary<ulong, int>[] _ends =   // where runs ended last, for each length of a run
        [.. Enumerable.Range(shortest, longest - shortest + 1).Select(_ => new Dictionary<ulong, int>())];

    /// <summary>Appends a token to the text.</summary>
    public void Append(int token)
    {
        // A run is entered when a token follows it, so that the last tokens do not find themselves.
        for (var n = shortest; n <= Math.Min(longest, _tokens.Count); n++) _ends[n - shortest][KeyOf(n)] = _tokens.Count;
        _tokens.Add(token);
    }

    /// <summary>
    /// The tokens that would follow if the text continued as it did before; none if its last tokens are new.
    /// </summary>
    public IEnumerable<int> Continue(int count)
    {
        for (var n = Math.Min(longest, _tokens.Count); n >= shortest; n--)
            if (_ends[n - shortest].TryGetValue(KeyOf(n), out var end) && IsSame(end, n))
                return Copy(end, count);
        return [];
    }

    // A copy that reaches the end of the text continues with what it has copied, so a text that repeats itself goes on
    // repeating.
    private IEnumerable<int> Copy(int from, int count)
    {
        var period = _tokens.Count - from;
        return Enumerable.Range(0, count).Select(i => _tokens[from + i % period]);
    }

    // Two different runs may have the same key.
    private bool IsSame(int end, int n)
    {
        for (var i = 1; i <= n; i++)
            if (_tokens[end - i] != _tokens[^i]) return false;
        return true;
    }

    private ulong KeyOf(int n)
    {
        var key = 0UL;
        for (var i = 1; i <= n; i++) key = (key + (ulong)_tokens[^i] + 1) * 0x9e37_79b9_7f4a_7c15UL;
        return key;
    }
}
