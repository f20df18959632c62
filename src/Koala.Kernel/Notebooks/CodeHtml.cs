using System.Net;
using System.Text;
using Koala.Kernel.Scripting;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Koala.Kernel.Notebooks;

/// <summary>C# as HTML with its keywords, texts, numbers and comments marked.</summary>
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
        foreach (var piece in trivia) Append(html, piece.IsKind(SyntaxKind.SingleLineCommentTrivia) || piece.IsKind(SyntaxKind.MultiLineCommentTrivia) ? "c" : piece.IsDirective ? "k" : null, piece.ToFullString());
    }

    private static void Append(StringBuilder html, string? kind, string text)
    {
        if (kind is null || text.Length == 0) html.Append(WebUtility.HtmlEncode(text));
        else html.Append($"<span class=\"{kind}\">{WebUtility.HtmlEncode(text)}</span>");
    }

    private static string? Class(SyntaxToken token) =>
        token.IsKeyword() || token.IsContextualKeyword() || token.IsKind(SyntaxKind.IdentifierToken) && token.ValueText is "var" or "await" ? "k"
        : token.Kind() switch
        {
            SyntaxKind.NumericLiteralToken => "n",
            SyntaxKind.StringLiteralToken or SyntaxKind.CharacterLiteralToken or SyntaxKind.InterpolatedStringTextToken or SyntaxKind.InterpolatedStringStartToken
                or SyntaxKind.InterpolatedStringEndToken or SyntaxKind.SingleLineRawStringLiteralToken or SyntaxKind.MultiLineRawStringLiteralToken => "s",
            _ => null,
        };
}
