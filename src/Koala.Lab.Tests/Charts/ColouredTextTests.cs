using System.Text.RegularExpressions;
using System.Xml.Linq;
using Koala.Lab.Charts;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Tests.Decoding;
using Koala.Lab.Text.Tokenizers;

namespace Koala.Lab.Tests.Charts;

/// <summary>Coloured text that shows which tokens were accepted.</summary>
public sealed partial class ColouredTextTests
{
    private static readonly Tokenizer s_tokenizer = ShippedModels.Nano.Tokenizer;
    private static readonly int[] s_prompt = Golden.Prompts("koala-nano")[0].Ids;

    [Fact]
    public void Tokens_have_the_colour_of_their_kind()
    {
        using var baseline = new SpeculativeDecoder(ShippedModels.Nano);
        var greedy = baseline.Generate(s_prompt, new GenerationOptions { MaxTokens = 60 }).Tokens;
        var head = ScriptedHead.CreateCorrect(ShippedModels.Nano, s_prompt.Length, 4, greedy, done => done % 4);
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        var answer = decoder.Generate(s_prompt, new GenerationOptions { MaxTokens = 40 });
        var shown = new ColouredText(answer, s_tokenizer);
        var spans = Spans(shown);
        Assert.Equal(answer.Text, string.Concat(spans.Select(s => s.Text)));
        // The answer may end in the middle of its last round.
        Assert.InRange(spans.Count(s => s.Style.Contains("solid", StringComparison.Ordinal)),
            answer.Rounds.SkipLast(1).Sum(r => r.Accepted), answer.Rounds.Sum(r => r.Accepted));
        int Styled(string style) => spans.Count(s => s.Style.Contains(style, StringComparison.Ordinal));
        Assert.Equal(spans.Count, 1 + Styled("solid") + Styled("dashed"));
        Assert.Contains("dotted", spans[0].Style, StringComparison.Ordinal);
        var plain = shown.ToString();
        Assert.Equal(answer.Text, Bracket().Replace(plain[(plain.IndexOf('\n', StringComparison.Ordinal) + 1)..], ""));
        Assert.Equal(spans.Count(s => s.Style.Contains("solid", StringComparison.Ordinal)),
            plain.Split('\n', 2)[1].Count(c => c == '['));
    }

    [Fact]
    public void Text_from_a_stranger_stays_text()
    {
        var shown = new ColouredText(Answer(Sample.Hostile), s_tokenizer);
        Assert.DoesNotContain("<script", shown.Html, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(Sample.Hostile.Replace('\u0001', '\ufffd'), string.Concat(Spans(shown).Select(s => s.Text)));
    }

    [Fact]
    public void A_character_of_several_tokens_is_shown_with_the_last()
    {
        var answer = Answer("so 🐨 it is 漢字");
        Assert.Contains("🐨", string.Concat(Spans(new ColouredText(answer, s_tokenizer)).Select(s => s.Text)),
            StringComparison.Ordinal);
        Assert.DoesNotContain('\ufffd', new ColouredText(answer, s_tokenizer).Html);
    }

    [Fact]
    public void A_stop_text_is_not_shown()
    {
        var answer = Answer("one two three") with { Text = "one tw" };
        Assert.Equal("one tw", string.Concat(Spans(new ColouredText(answer, s_tokenizer)).Select(s => s.Text)));
    }

    [Fact]
    public void A_special_token_is_named()
    {
        var end = ShippedModels.Nano.Config.EndOfSequenceIds[0];
        var answer = Answer("yes");
        var spans = Spans(new ColouredText(answer with { Tokens = [.. answer.Tokens, end] }, s_tokenizer));
        Assert.Equal(s_tokenizer.Decode([end]), spans[^1].Text);
        Assert.Contains("opacity", spans[^1].Style, StringComparison.Ordinal);
    }

    /// <summary>Creates an answer whose rounds accepted one token each.</summary>
    private static Generation Answer(string text)
    {
        var tokens = s_tokenizer.Encode(text);
        return new Generation([], tokens, text, FinishReason.Length, 1, 0.5,
            [.. Enumerable.Repeat(new Round(1, 1, 1, 1, 1), tokens.Count)]);
    }

    private static List<(string Text, string Style)> Spans(ColouredText shown) =>
        [.. XDocument.Parse(shown.Html, LoadOptions.PreserveWhitespace).Root!.Elements()
            .Last()
            .Elements("span")
            .Select(s => (s.Value, s.Attribute("style")!.Value))];

    [GeneratedRegex(@"[\[\]]")]
    private static partial Regex Bracket();
}
