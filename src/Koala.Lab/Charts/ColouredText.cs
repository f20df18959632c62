using System.Text;
using Koala.Lab.Charts.Drawing;
using Koala.Lab.Decoding;
using Koala.Lab.Runtime;
using Koala.Lab.Text.Tokenizers;

namespace Koala.Lab.Charts;

/// <summary>An answer whose text marks the tokens that the head proposed and the target accepted, and the target's own tokens.</summary>
[TypeFormatterSource]
public sealed class ColouredText
{
    private readonly IReadOnlyList<AnswerPiece> _tokens;

    /// <param name="generation">The answer with its rounds.</param>
    /// <param name="tokenizer">The tokenizer of the target.</param>
    public ColouredText(Generation generation, Tokenizer tokenizer) => _tokens = AnswerPieces.Of(generation, tokenizer);

    /// <summary>
    /// A legend and the text; the background and the underline of a token show its origin. The text has the colour of the page.
    /// </summary>
    public string Html
    {
        get
        {
            var html = new StringBuilder("<div class=\"koala-text\" style=\"max-width:720px;line-height:1.9\">");
            html.Append("<div style=\"font-size:85%;margin-bottom:4px\">");
            (TokenOrigin, string)[] legend =
            [
                (TokenOrigin.Accepted, "accepted"), (TokenOrigin.Bonus, "bonus"), (TokenOrigin.Prefill, "first, from the prompt"),
            ];
            foreach (var (origin, name) in legend)
                html.Append(Span(name, origin, special: false)).Append(" &#160; ");
            html.Append("</div><div style=\"white-space:pre-wrap\">");
            foreach (var (text, origin, special) in _tokens) html.Append(Span(text, origin, special));
            return html.Append("</div></div>").ToString();
        }
    }

    /// <summary>The text with the accepted tokens in brackets.</summary>
    public override string ToString()
    {
        var text = new StringBuilder("accepted tokens in [brackets]\n");
        foreach (var (token, origin, _) in _tokens) text.Append(origin == TokenOrigin.Accepted ? $"[{token}]" : token);
        return text.ToString();
    }

    private static string Span(string text, TokenOrigin origin, bool special)
    {
        var style = origin switch
        {
            TokenOrigin.Accepted => $"background:rgba(0,114,178,.25);border-bottom:2px solid {Colours.Blue}",
            TokenOrigin.Bonus => $"background:rgba(230,159,0,.25);border-bottom:2px dashed {Colours.Orange}",
            _ => $"border-bottom:2px dotted {Colours.Muted}",
        };
        return $"<span style=\"{style}{(special ? ";opacity:.65;font-size:85%" : "")}\">{Charts.Html.Escape(text)}</span>";
    }
}
