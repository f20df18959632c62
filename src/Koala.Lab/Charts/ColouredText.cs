using System.Text;
using Koala.Lab.Charts.Drawing;
using Koala.Lab.Decoding;
using Koala.Lab.Runtime;
using Koala.Lab.Text.Tokenizers;

namespace Koala.Lab.Charts;

/// <summary>An answer whose text tells which tokens the head proposed and the target accepted, and which are the target's own.</summary>
[TypeFormatterSource]
public sealed class ColouredText
{
    private readonly IReadOnlyList<(string Text, Origin Origin, bool Special)> _tokens;

    /// <param name="generation">The answer, rounds and all.</param>
    /// <param name="tokenizer">The target's.</param>
    public ColouredText(Generation generation, Tokenizer tokenizer) => _tokens = [.. Read(generation, tokenizer)];

    private enum Origin
    {
        First,
        Accepted,
        Bonus,
    }

    /// <summary>A legend and the text, each token on the colour and above the line of its kind. Text has the page's colour.</summary>
    public string Html
    {
        get
        {
            var html = new StringBuilder("<div class=\"koala-text\" style=\"max-width:720px;line-height:1.9\"><div style=\"font-size:85%;margin-bottom:4px\">");
            foreach (var (origin, name) in new[] { (Origin.Accepted, "accepted"), (Origin.Bonus, "bonus"), (Origin.First, "first, from the prompt") })
                html.Append(Span(name, origin, special: false)).Append(" &#160; ");
            html.Append("</div><div style=\"white-space:pre-wrap\">");
            foreach (var (text, origin, special) in _tokens) html.Append(Span(text, origin, special));
            return html.Append("</div></div>").ToString();
        }
    }

    /// <summary>The text, accepted tokens in brackets.</summary>
    public override string ToString()
    {
        var text = new StringBuilder("accepted tokens in [brackets]\n");
        foreach (var (token, origin, _) in _tokens) text.Append(origin == Origin.Accepted ? $"[{token}]" : token);
        return text.ToString();
    }

    private static string Span(string text, Origin origin, bool special)
    {
        var style = origin switch
        {
            Origin.Accepted => $"background:rgba(0,114,178,.25);border-bottom:2px solid {Colours.Blue}",
            Origin.Bonus => $"background:rgba(230,159,0,.25);border-bottom:2px dashed {Colours.Orange}",
            _ => $"border-bottom:2px dotted {Colours.Muted}",
        };
        return $"<span style=\"{style}{(special ? ";opacity:.65;font-size:85%" : "")}\">{Charts.Html.Escape(text)}</span>";
    }

    private static IEnumerable<(string, Origin, bool)> Read(Generation generation, Tokenizer tokenizer)
    {
        // The first token comes from prefill; of the last round the answer may hold a part.
        var origins = generation.Rounds.SelectMany(r => Enumerable.Repeat(Origin.Accepted, r.Accepted).Append(Origin.Bonus)).Prepend(Origin.First);
        var detokenizer = new StreamingDetokenizer(tokenizer);
        var left = generation.Text.Length;
        foreach (var (token, origin) in generation.Tokens.Zip(origins))
        {
            if (tokenizer.IsSpecial(token))
            {
                yield return (tokenizer.Decode([token]), origin, true);
                continue;
            }
            // A character may be spread over tokens: it stands with the last of them. A stop text and what follows is no part of the answer.
            var text = detokenizer.Append(token);
            text = text[..Math.Min(text.Length, left)];
            left -= text.Length;
            if (text.Length > 0) yield return (text, origin, false);
        }
        if (left > 0 && detokenizer.Flush() is { Length: > 0 } rest) yield return (rest, Origin.Bonus, false);
    }
}
