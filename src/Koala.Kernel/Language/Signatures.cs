using System.Xml.Linq;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Koala.Kernel.Language;

/// <summary>The ways to call what the cursor stands in the arguments of.</summary>
internal static class Signatures
{
    /// <summary>One a line, the summary of each behind it; null: the cursor is in no call.</summary>
    public static string? Around(Document document, int at)
    {
        var root = document.GetSyntaxRootAsync().GetAwaiter().GetResult()!;
        var arguments = root.FindToken(Math.Max(0, Math.Min(at, root.FullSpan.End) - 1)).Parent?.AncestorsAndSelf().OfType<ArgumentListSyntax>()
            .FirstOrDefault(list => list.OpenParenToken.Span.End <= at && (list.CloseParenToken.IsMissing || at <= list.CloseParenToken.SpanStart));
        if (arguments?.Parent is not { } call) return null;
        var model = document.GetSemanticModelAsync().GetAwaiter().GetResult()!;
        IEnumerable<ISymbol> candidates = call switch
        {
            InvocationExpressionSyntax invocation => model.GetMemberGroup(invocation.Expression),
            BaseObjectCreationExpressionSyntax creation => model.GetTypeInfo(creation).Type is INamedTypeSymbol type ? type.InstanceConstructors : [],
            _ => [],
        };
        var lines = candidates.Where(symbol => symbol.DeclaredAccessibility == Accessibility.Public || symbol.Locations.Any(l => l.IsInSource))
            .Select(symbol => symbol.ToMinimalDisplayString(model, at) + Summary(symbol)).ToArray();
        return lines.Length > 0 ? string.Join('\n', lines) : null;
    }

    private static string Summary(ISymbol symbol)
    {
        if (symbol.GetDocumentationCommentXml() is not { Length: > 0 } xml) return "";
        try
        {
            var summary = XElement.Parse(xml).Element("summary")?.Value;
            return string.IsNullOrWhiteSpace(summary) ? "" : $"\n    {string.Join(' ', summary.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries))}";
        }
        catch (System.Xml.XmlException)
        {
            return "";
        }
    }
}
