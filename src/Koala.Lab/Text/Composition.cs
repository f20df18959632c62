using System.Globalization;
using System.Text;

namespace Koala.Lab.Text;

/// <summary>Unicode's normalization form NFC.</summary>
/// <remarks>
/// .NET leaves text as it is where globalization is invariant, as it is here (its own tables are ICU's, which a machine need not have); a
/// tokenizer must not depend on that. The algorithm: The Unicode Standard, sections 3.11 and 3.12.
/// </remarks>
internal static class Composition
{
    private const int HangulBase = 0xac00, LeadBase = 0x1100, VowelBase = 0x1161, TrailBase = 0x11a7, Vowels = 21, Trails = 28, Syllables = 19 * Vowels * Trails;

    private static readonly Lazy<Tables> s_tables = new(() => new Tables());

    /// <param name="text">Without half surrogate pairs.</param>
    public static string Compose(string text)
    {
        // Below U+0300 nothing combines and everything is composed already.
        if (text.AsSpan().IndexOfAnyExceptInRange('\0', '\u02ff') < 0) return text;
        var points = new List<int>(text.Length);
        foreach (var rune in text.EnumerateRunes()) Decompose(rune.Value, points);
        Reorder(points);
        Combine(points);
        var result = new StringBuilder(text.Length);
        foreach (var point in points) result.Append(new Rune(point));
        return result.ToString();
    }

    private static void Decompose(int point, List<int> points)
    {
        if (point - HangulBase is >= 0 and < Syllables and var syllable)
        {
            points.Add(LeadBase + syllable / (Vowels * Trails));
            points.Add(VowelBase + syllable % (Vowels * Trails) / Trails);
            if (syllable % Trails > 0) points.Add(TrailBase + syllable % Trails);
        }
        else if (s_tables.Value.Parts.TryGetValue(point, out var parts))
            foreach (var part in parts) Decompose(part, points);
        else points.Add(point);
    }

    // Marks that follow a base stand in the order of their classes; equal ones keep theirs.
    private static void Reorder(List<int> points)
    {
        for (var i = 0; i < points.Count; i++)
        {
            var end = i;
            while (end < points.Count && Class(points[end]) != 0) end++;
            if (end - i > 1)
            {
                int[] sorted = [.. points.GetRange(i, end - i).OrderBy(Class)];
                for (var j = 0; j < sorted.Length; j++) points[i + j] = sorted[j];
            }
            i = end;
        }
    }

    private static void Combine(List<int> points)
    {
        var (starter, kept, last) = (-1, 0, 0);
        for (var i = 0; i < points.Count; i++)
        {
            var point = points[i];
            var order = Class(point);
            // A mark is blocked from its base by one of the same class or of none between them.
            var adjacent = starter == kept - 1;
            if (starter >= 0 && (adjacent || (last < order && last != 0)) && Pair(points[starter], point) is { } composed)
            {
                points[starter] = composed;
                continue;
            }
            if (order == 0) starter = kept;
            last = order;
            points[kept++] = point;
        }
        points.RemoveRange(kept, points.Count - kept);
    }

    private static int? Pair(int first, int second)
    {
        if (first - LeadBase is >= 0 and < 19 and var lead && second - VowelBase is >= 0 and < Vowels and var vowel)
            return HangulBase + (lead * Vowels + vowel) * Trails;
        if (first - HangulBase is >= 0 and < Syllables and var syllable && syllable % Trails == 0 && second - TrailBase is > 0 and < Trails and var trail)
            return first + trail;
        return s_tables.Value.Pairs.TryGetValue((first, second), out var composed) ? composed : null;
    }

    private static int Class(int point) => s_tables.Value.Classes.GetValueOrDefault(point);

    private sealed class Tables
    {
        private static readonly char[] s_white = [' ', '\n'];

        public Tables()
        {
            foreach (var entry in CompositionData.Decompositions.Split(s_white, StringSplitOptions.RemoveEmptyEntries))
            {
                var sign = entry.IndexOfAny([':', '=']);
                var composed = Hex(entry[..sign]);
                int[] parts = [.. entry[(sign + 1)..].Split('+').Select(Hex)];
                Parts.Add(composed, parts);
                if (entry[sign] == ':') Pairs.Add((parts[0], parts[1]), composed);
            }
            foreach (var entry in CompositionData.Classes.Split(s_white, StringSplitOptions.RemoveEmptyEntries))
            {
                var sides = entry.Split(':');
                int[] range = [.. sides[0].Split('-').Select(Hex)];
                for (var point = range[0]; point <= range[^1]; point++) Classes.Add(point, byte.Parse(sides[1], CultureInfo.InvariantCulture));
            }
        }

        public Dictionary<int, int[]> Parts { get; } = [];

        public Dictionary<(int, int), int> Pairs { get; } = [];

        public Dictionary<int, byte> Classes { get; } = [];

        private static int Hex(string text) => int.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
    }
}
