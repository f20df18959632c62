using System.Text;

namespace Koala.Lab.Charts;

/// <summary>Escapes text for HTML and SVG.</summary>
internal static class Html
{
    /// <summary>Escapes text for an element or for a quoted attribute. A character that XML does not allow becomes U+FFFD.</summary>
    public static string Escape(string text)
    {
        var escaped = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
            switch (rune.Value)
            {
                case '<': escaped.Append("&lt;"); break;
                case '>': escaped.Append("&gt;"); break;
                case '&': escaped.Append("&amp;"); break;
                case '"': escaped.Append("&quot;"); break;
                case '\'': escaped.Append("&#39;"); break;
                case < ' ' and not ('\t' or '\n' or '\r'): case 0xfffe or 0xffff: escaped.Append('\ufffd'); break;
                default: escaped.Append(rune.ToString()); break;
            }
        return escaped.ToString();
    }
}
