using System.Text.Json;
using Koala.Lab.Text.Tokenizers;

namespace Koala.Lab.Tests.Text;

public sealed class CompositionTests
{
    // Random letters, marks, Hangul and their decomposed forms, composed by Python's unicodedata (Unicode 14).
    [Fact]
    public void Texts_are_composed_as_recorded()
    {
        var cases = JsonSerializer.Deserialize<string[][]>(TestFiles.Unpacked("src", "Koala.Lab.Tests",
            "Text", "files", "composition.json.gz"))!;
        Assert.True(cases.Count(c => c[0] != c[1]) > 100);
        Assert.All(cases, c => Assert.Equal(c[1], Normalizer.Compose(c[0])));
    }

    [Theory]
    [InlineData("e\u0301", "é")]
    [InlineData("plain", "plain")]
    [InlineData("\u1112\u1161\u11ab", "한")]
    [InlineData("\u212b", "Å")]
    [InlineData("ﬁ ½", "ﬁ ½")]
    [InlineData("a\u0323\u0302", "ậ")]
    [InlineData("a\u0302\u0323", "ậ")]
    public void Known_texts_are_composed(string text, string expected) => Assert.Equal(expected, Normalizer.Compose(text));
}
