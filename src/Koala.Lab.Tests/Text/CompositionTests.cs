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

    // From Unicode's charts; the last ones have no compatibility form, or had one already.
    [Theory]
    [InlineData("ﬁ ½ ²", "fi 1⁄2 2", "fi 1⁄2 2")]
    [InlineData("ｆｕｌｌ　Ⅷ", "full VIII", "full VIII")]
    [InlineData("𝔘𝔫𝔦 ㎏", "Uni kg", "Uni kg")]
    [InlineData("ﷺ", "صلى الله عليه وسلم", "صلى الله عليه وسلم")]
    [InlineData("ẛ̣", "ṩ", "s\u0323\u0307")]
    [InlineData("ｶﾞ", "ガ", "カ\u3099")]
    [InlineData("plain 🐨", "plain 🐨", "plain 🐨")]
    [InlineData("é", "é", "e\u0301")]
    public void Known_texts_have_compatibility_forms(string text, string composed, string decomposed) =>
        Assert.Equal((composed, decomposed), (Normalizer.Compose(CompatibilityForms.Replace(text)),
            Normalizer.Decompose(CompatibilityForms.Replace(text))));

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
