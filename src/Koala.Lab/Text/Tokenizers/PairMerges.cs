namespace Koala.Lab.Text.Tokenizers;

/// <summary>The pairs of tokens that become one token, with their ranks: the lowest rank is merged first.</summary>
internal sealed class PairMerges
{
    private readonly Dictionary<(int Left, int Right), (int Rank, int Merged)> _pairs = [];

    /// <summary>Reads a list of merges, whose order is that of their ranks. Of a pair that is listed twice the last one counts.</summary>
    /// <param name="vocabulary">The ids by token.</param>
    /// <param name="merges">The merges.</param>
    /// <param name="source">The file, for error messages.</param>
    /// <exception cref="KoalaException">A merge uses or makes a token outside the vocabulary.</exception>
    public static PairMerges FromList(
        IReadOnlyDictionary<string, int> vocabulary, IReadOnlyList<(string Left, string Right)> merges, string source)
    {
        var result = new PairMerges();
        for (var rank = 0; rank < merges.Count; rank++)
        {
            var (left, right) = merges[rank];
            int Id(string token) => vocabulary.TryGetValue(token, out var id)
                ? id
                : throw new KoalaException(source,
                    $"merges '{MessageText.Text(left)}' and '{MessageText.Text(right)}', "
                    + $"but '{MessageText.Text(token)}' is not in its vocabulary",
                    "get the file again");
            result._pairs[(Id(left), Id(right))] = (rank, Id(left + right));
        }
        return result;
    }

    /// <summary>
    /// Makes the merges of a SentencePiece model: any two tokens whose texts make a third one; the highest score is merged first.
    /// </summary>
    /// <param name="scores">The scores of the tokens that text can become, with their ids.</param>
    public static PairMerges FromScores(IReadOnlyDictionary<string, (int Id, float Score)> scores)
    {
        var result = new PairMerges();
        var ids = scores.ToDictionary(token => token.Key, token => token.Value.Id);
        var known = ids.GetAlternateLookup<ReadOnlySpan<char>>();
        // Equal scores have equal ranks: the leftmost pair comes first then.
        var ranks = scores.Values.Select(token => token.Score).Distinct().OrderDescending()
            .Select((score, rank) => (score, rank)).ToDictionary();
        foreach (var (token, (id, score)) in scores)
            for (var cut = 1; cut < token.Length; cut++)
                if (known.TryGetValue(token.AsSpan(0, cut), out var left) && known.TryGetValue(token.AsSpan(cut), out var right))
                    result._pairs[(left, right)] = (ranks[score], id);
        return result;
    }

    /// <summary>Merges tokens until no pair is left: always the pair of the lowest rank, of several the leftmost.</summary>
    /// <param name="ids">The tokens.</param>
    public int[] Apply(List<int> ids)
    {
        if (ids.Count < 2) return [.. ids];
        int[] tokens = [.. ids];
        var (before, after) = (new int[tokens.Length], new int[tokens.Length]);
        var queue = new PriorityQueue<(int Left, int Right, int Merged), (int Rank, int Left)>();
        for (var i = 0; i < tokens.Length; i++) (before[i], after[i]) = (i - 1, i + 1);

        void Add(int left, int right)
        {
            if (left >= 0 && right < tokens.Length && _pairs.TryGetValue((tokens[left], tokens[right]), out var pair))
                queue.Enqueue((left, right, pair.Merged), (pair.Rank, left));
        }

        for (var i = 0; i + 1 < tokens.Length; i++) Add(i, i + 1);
        while (queue.TryDequeue(out var next, out _))
        {
            // A pair whose tokens have been merged with others since is gone.
            if (after[next.Left] != next.Right || !_pairs.TryGetValue((tokens[next.Left], tokens[next.Right]), out var pair)) continue;
            if (pair.Merged != next.Merged) continue;
            tokens[next.Left] = next.Merged;
            tokens[next.Right] = -1;
            after[next.Left] = after[next.Right];
            if (after[next.Right] < tokens.Length) before[after[next.Right]] = next.Left;
            Add(before[next.Left], next.Left);
            Add(next.Left, after[next.Left]);
        }
        return [.. tokens.Where(id => id >= 0)];
    }
}
