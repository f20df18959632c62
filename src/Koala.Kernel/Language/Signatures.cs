using System.Collections.Immutable;
using System.Xml.Linq;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Koala.Kernel.Language;

/// <summary>Finds the signatures of the call in whose arguments the cursor is.</summary>
internal static class Signatures
{
    /// <summary>Lists the signatures, one per line, each followed by its summary.</summary>
    /// <returns>The list; null if the cursor is not in a call.</returns>
    public static string? Around(Document document, int cursor)
    {
        var root = document.GetSyntaxRootAsync().GetAwaiter().GetResult()!;
        var token = root.FindToken(Math.Max(0, Math.Min(cursor, root.FullSpan.End) - 1));
        var arguments = token.Parent?.AncestorsAndSelf().OfType<ArgumentListSyntax>().FirstOrDefault(HasCursor);
        if (arguments?.Parent is not { } call) return null;
        var model = document.GetSemanticModelAsync().GetAwaiter().GetResult()!;
        IEnumerable<ISymbol> candidates = call switch
        {
            InvocationExpressionSyntax invocation => model.GetMemberGroup(invocation.Expression),
            BaseObjectCreationExpressionSyntax creation => Constructors(model.GetTypeInfo(creation).Type).CastArray<ISymbol>(),
            _ => [],
        };
        var lines = candidates.Where(IsVisible).Select(symbol => symbol.ToMinimalDisplayString(model, cursor) + Summary(symbol)).ToArray();
        return lines.Length > 0 ? string.Join('\n', lines) : null;

        bool HasCursor(ArgumentListSyntax list) =>
            list.OpenParenToken.Span.End <= cursor && (list.CloseParenToken.IsMissing || cursor <= list.CloseParenToken.SpanStart);
    }

    private static ImmutableArray<IMethodSymbol> Constructors(ITypeSymbol? type) =>
        type is INamedTypeSymbol named ? named.InstanceConstructors : [];

    private static bool IsVisible(ISymbol symbol) =>
        symbol.DeclaredAccessibility == Accessibility.Public || symbol.Locations.Any(location => location.IsInSource);

    private static string Summary(ISymbol symbol)
    {
        if (symbol.GetDocumentationCommentXml() is not { Length: > 0 } xml) return "";
        try
        {
            var summary = XElement.Parse(xml).Element("summary")?.Value;
            if (string.IsNullOrWhiteSpace(summary)) return "";
            var words = summary.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            return $"\n    {string.Join(' ', words)}";
        }
        catch (System.Xml.XmlException)
        {
            return "";
        }
    }
}
