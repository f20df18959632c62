namespace Koala.Lab.Text.Tokenizers;

/// <summary>Makes the table of tokens by id, with the checks that make an untrusted vocabulary safe to use.</summary>
internal static class VocabularyTable
{
    /// <summary>
    /// The largest id that is allowed. The table is as long as the largest id, and real vocabularies have ids below
    /// 300,000.
    /// </summary>
    public const int LargestId = (1 << 22) - 1;

    private const string Fix = "get the file again";

    /// <summary>The table, with null at ids that no token has.</summary>
    /// <exception cref="KoalaException">An id occurs twice or is out of range.</exception>
    public static string?[] Make(TokenizerParts parts)
    {
        var largest = -1;
        var added = parts.AddedTokens.Select(t => KeyValuePair.Create(t.Content, t.Id));
        foreach (var (token, id) in parts.Vocabulary.Concat(added))
        {
            if (id is < 0 or > LargestId)
                throw new KoalaException(
                    parts.Source, $"gives '{MessageText.Text(token)}' the id {id}, but ids are 0 to {LargestId}", Fix);
            largest = Math.Max(largest, id);
        }
        if (parts.Vocabulary.Count == 0) throw new KoalaException(parts.Source, "has an empty vocabulary", Fix);

        var tokens = new string?[largest + 1];
        foreach (var (token, id) in parts.Vocabulary)
        {
            if (tokens[id] is { } other) throw DuplicateId(parts, id, other, token);
            tokens[id] = token;
        }
        AddAddedTokens(parts, tokens);
        return tokens;
    }

    // An added token may repeat a token of the vocabulary with the same id, but it may not have the id of another
    // token.
    private static void AddAddedTokens(TokenizerParts parts, string?[] tokens)
    {
        var contents = new HashSet<string>();
        foreach (var added in parts.AddedTokens)
        {
            if (added.Content.Length == 0)
                throw new KoalaException(parts.Source, $"has an empty added token with the id {added.Id}", Fix);
            if (!contents.Add(added.Content))
                throw new KoalaException(parts.Source, $"adds the token '{MessageText.Text(added.Content)}' twice", Fix);
            if (tokens[added.Id] is { } other && other != added.Content)
                throw DuplicateId(parts, added.Id, other, added.Content);
            tokens[added.Id] = added.Content;
        }
    }

    private static KoalaException DuplicateId(TokenizerParts parts, int id, string first, string second) =>
        new(parts.Source, $"gives the id {id} to both '{MessageText.Text(first)}' and '{MessageText.Text(second)}'", Fix);
}
