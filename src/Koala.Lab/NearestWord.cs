namespace Koala.Lab;

/// <summary>Finds the word that a mistyped one probably stands for.</summary>
public static class NearestWord
{
    /// <summary>The known word that is nearest to a mistyped one; null if none is near.</summary>
    /// <param name="word">The mistyped word.</param>
    /// <param name="known">The known words.</param>
    public static string? Find(string word, IEnumerable<string> known)
    {
        ArgumentNullException.ThrowIfNull(word);
        var limit = Math.Max(1, word.TrimStart('-').Length / 3);
        return known.Where(candidate => Distance(word, candidate) <= limit).MinBy(candidate => Distance(word, candidate));
    }

    // The number of letters that are inserted, left out, replaced or swapped with their neighbour (optimal string alignment).
    private static int Distance(string a, string b)
    {
        var d = new int[a.Length + 1, b.Length + 1];
        for (var i = 0; i <= a.Length; i++)
            for (var j = 0; j <= b.Length; j++)
            {
                if (i == 0 || j == 0)
                {
                    d[i, j] = i + j;
                    continue;
                }
                d[i, j] = Math.Min(Math.Min(d[i - 1, j], d[i, j - 1]) + 1, d[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1));
                var swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                if (swapped) d[i, j] = Math.Min(d[i, j], d[i - 2, j - 2] + 1);
            }
        return d[a.Length, b.Length];
    }
}
