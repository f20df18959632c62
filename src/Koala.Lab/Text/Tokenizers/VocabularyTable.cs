using Koala.Lab.Checkpoints;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>Tokens by id, with the checks that make a stranger's vocabulary safe to use.</summary>
internal static class VocabularyTable
{
    /// <summary>Real vocabularies end below 300,000; the table is as long as the largest id.</summary>
    public const int LargestId = (1 << 22) - 1;

    private const string Fix = "get the file again";

    /// <summary>The table; null where an id is not given.</summary>
    /// <exception cref="KoalaException">An id stands twice or out of range, or a merge is not of the vocabulary.</exception>
    public static string?[] Make(TokenizerParts parts)
    {
        var largest = -1;
        foreach (var (token, id) in parts.Vocabulary.Concat(parts.AddedTokens.Select(t => KeyValuePair.Create(t.Content, t.Id))))
        {
            if (id is < 0 or > LargestId)
                throw new KoalaException(parts.Source, $"gives '{MessageText.Text(token)}' the id {id}, but ids are 0 to {LargestId}", Fix);
            largest = Math.Max(largest, id);
        }
        if (parts.Vocabulary.Count == 0) throw new KoalaException(parts.Source, "has an empty vocabulary", Fix);

        var tokens = new string?[largest + 1];
        foreach (var (token, id) in parts.Vocabulary)
        {
            if (tokens[id] is { } other)
                throw new KoalaException(parts.Source, $"gives the id {id} to both '{MessageText.Text(other)}' and '{MessageText.Text(token)}'", Fix);
            tokens[id] = token;
        }
        AddAdded(parts, tokens);
        CheckMerges(parts);
        return tokens;
    }

    // An added token may repeat a token of the vocabulary under its own id; it may not take another's.
    private static void AddAdded(TokenizerParts parts, string?[] tokens)
    {
        var contents = new HashSet<string>();
        foreach (var added in parts.AddedTokens)
        {
            if (added.Content.Length == 0) throw new KoalaException(parts.Source, $"has an empty added token with the id {added.Id}", Fix);
            if (!contents.Add(added.Content)) throw new KoalaException(parts.Source, $"adds the token '{MessageText.Text(added.Content)}' twice", Fix);
            if (tokens[added.Id] is { } other && other != added.Content)
                throw new KoalaException(parts.Source, $"gives the id {added.Id} to both '{MessageText.Text(other)}' and '{MessageText.Text(added.Content)}'", Fix);
            tokens[added.Id] = added.Content;
        }
    }

    private static void CheckMerges(TokenizerParts parts)
    {
        foreach (var (left, right) in parts.Merges)
            foreach (var token in (ReadOnlySpan<string>)[left, right, left + right])
                if (!parts.Vocabulary.ContainsKey(token))
                    throw new KoalaException(parts.Source, $"merges '{MessageText.Text(left)}' and '{MessageText.Text(right)}', but '{MessageText.Text(token)}' is not in its vocabulary", Fix);
    }
}
