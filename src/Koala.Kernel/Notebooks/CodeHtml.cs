using System.Net;
using System.Text;
using Koala.Kernel.Scripting;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Koala.Kernel.Notebooks;

/// <summary>Renders C# as HTML in which keywords, strings, numbers and comments are marked.</summary>
internal static class CodeHtml
{
    public static string Render(string code)
    {
        var html = new StringBuilder();
        foreach (var token in CSharpSyntaxTree.ParseText(code, CSharpSession.ParseOptions).GetRoot().DescendantTokens())
        {
            Append(html, token.LeadingTrivia);
            Append(html, Class(token), token.ToString());
            Append(html, token.TrailingTrivia);
        }
        return html.ToString();
    }

    private static void Append(StringBuilder html, SyntaxTriviaList trivia)
    {
        foreach (var item in trivia) Append(html, Class(item), item.ToFullString());
    }

    private static void Append(StringBuilder html, string? cssClass, string text)
    {
        if (cssClass is null || text.Length == 0) html.Append(WebUtility.HtmlEncode(text));
        else html.Append($"<span class=\"{cssClass}\">{WebUtility.HtmlEncode(text)}</span>");
    }

    private static string? Class(SyntaxTrivia trivia) =>
        trivia.IsKind(SyntaxKind.SingleLineCommentTrivia) || trivia.IsKind(SyntaxKind.MultiLineCommentTrivia) ? "c"
        : trivia.IsDirective ? "k"
        : null;

    private static string? Class(SyntaxToken token) =>
        IsKeyword(token) ? "k"
        : token.Kind() switch
        {
            SyntaxKind.NumericLiteralToken => "n",
            SyntaxKind.StringLiteralToken or SyntaxKind.CharacterLiteralToken => "s",
            SyntaxKind.SingleLineRawStringLiteralToken or SyntaxKind.MultiLineRawStringLiteralToken => "s",
            SyntaxKind.InterpolatedStringStartToken or SyntaxKind.InterpolatedStringEndToken => "s",
            SyntaxKind.InterpolatedStringTextToken => "s",
            _ => null,
        };

    private static bool IsKeyword(SyntaxToken token) =>
        token.IsKeyword()
        || token.IsContextualKeyword()
        || token.IsKind(SyntaxKind.IdentifierToken) && token.ValueText is "var" or "await";
}
