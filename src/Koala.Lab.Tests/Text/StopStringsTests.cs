using CsCheck;
using Koala.Lab.Text;

namespace Koala.Lab.Tests.Text;

public sealed class StopStringsTests
{
    private static readonly Gen<string> s_text = Gen.Char['a', 'c'].Array[0, 30].Select(c => new string(c));
    private static readonly Gen<string[]> s_stops = Gen.Char['a', 'c'].Array[1, 4].Select(c => new string(c)).Array[0, 3];

    [Fact]
    public void However_the_text_is_split_it_is_cut_before_the_first_complete_stop() =>
        Gen.Select(s_text, s_stops, Gen.Int[1, 5].Array[30]).Sample((text, stops, lengths) =>
        {
            var (emitted, hit) = Feed(stops, Pieces(text, lengths));
            var (expected, expectedHit) = Expected(text, stops);
            return emitted == expected && hit == expectedHit;
        });

    [Fact]
    public void Holds_back_only_what_could_become_a_stop()
    {
        var stop = new StopStrings(["STOP", "\n\n"]);
        Assert.Equal("a", stop.Append("aST"));
        Assert.Equal("STx", stop.Append("x"));
        Assert.Equal("", stop.Append("\n"));
        Assert.Equal("\nb", stop.Append("bS"));
        Assert.False(stop.Hit);
        Assert.Equal("S", stop.Flush());
    }

    [Fact]
    public void Nothing_comes_after_a_stop()
    {
        var stop = new StopStrings(["END"]);
        Assert.Equal("a", stop.Append("aEN"));
        Assert.Equal("", stop.Append("D tail"));
        Assert.True(stop.Hit);
        Assert.Equal("", stop.Append("more"));
        Assert.Equal("", stop.Flush());
    }

    [Fact]
    public void Rejects_an_empty_stop() => Assert.Throws<KoalaException>(() => new StopStrings(["a", ""]));

    private static (string Text, bool Hit) Feed(string[] stops, IEnumerable<string> pieces)
    {
        var stop = new StopStrings(stops);
        var text = string.Concat(pieces.Select(stop.Append));
        return (text + stop.Flush(), stop.Hit);
    }

    private static IEnumerable<string> Pieces(string text, int[] lengths)
    {
        var at = 0;
        for (var i = 0; at < text.Length; i++)
        {
            var length = Math.Min(lengths[i % lengths.Length], text.Length - at);
            yield return text.Substring(at, length);
            at += length;
        }
    }

    // The expected result, computed in a simple way: the shortest prefix of the text that ends with a stop text,
    // without the longest stop text it ends with.
    private static (string Text, bool Hit) Expected(string text, string[] stops)
    {
        for (var end = 1; end <= text.Length; end++)
            if (stops.Where(s => text[..end].EndsWith(s, StringComparison.Ordinal)).MaxBy(s => s.Length) is { } found)
                return (text[..(end - found.Length)], true);
        return (text, false);
    }
}
