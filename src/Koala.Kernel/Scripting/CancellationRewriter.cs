using System.Text;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;

namespace Koala.Kernel.Scripting;

/// <summary>
/// Passes the cell's cancellation token to calls that can take a token and were given none. An interrupt then ends a
/// training run between two steps, even if the code of the cell names no token.
/// </summary>
internal static class CancellationRewriter
{
    private const string Token = "global::Koala.Kernel.Scripting.StopFlag.Cancel";

    /// <summary>Adds the token to the calls of a cell.</summary>
    /// <param name="compilation">The compilation of the cell, which has no errors.</param>
    /// <param name="name">The name of the cell, which is the path of its syntax tree in the compilation.</param>
    /// <returns>The code with the tokens; null if no call can take one.</returns>
    public static string? Rewrite(Compilation compilation, string name)
    {
        var tree = compilation.SyntaxTrees.First(t => t.FilePath == name);
        var calls = tree.GetRoot().DescendantNodes().Where(HasArgumentList).ToArray();
        if (calls.Length == 0) return null;
        var model = compilation.GetSemanticModel(tree);
        StringBuilder? code = null;
        // The insertions begin at the end of the code, so that the positions before them stay valid.
        foreach (var call in calls.OrderByDescending(call => Arguments(call).CloseParenToken.SpanStart))
        {
            if (model.GetSymbolInfo(call).Symbol is not IMethodSymbol { IsVararg: false } method) continue;
            if (method.Parameters is [] || method.Parameters[^1].IsParams) continue;
            var parameter = method.Parameters.LastOrDefault(p => p.IsOptional && IsCancellationToken(p.Type));
            if (parameter is null || !IsOmitted(model.GetOperation(call), parameter)) continue;
            var list = Arguments(call);
            code ??= new StringBuilder(tree.ToString());
            code.Insert(list.CloseParenToken.SpanStart, $"{(list.Arguments.Count > 0 ? ", " : "")}@{parameter.Name}: {Token}");
        }
        return code?.ToString();
    }

    private static bool HasArgumentList(SyntaxNode node) =>
        node is InvocationExpressionSyntax or BaseObjectCreationExpressionSyntax { ArgumentList: not null };

    private static ArgumentListSyntax Arguments(SyntaxNode call) =>
        call is InvocationExpressionSyntax invocation
            ? invocation.ArgumentList
            : ((BaseObjectCreationExpressionSyntax)call).ArgumentList!;

    private static bool IsCancellationToken(ITypeSymbol type) => type is
    {
        Name: nameof(CancellationToken),
        ContainingNamespace: { Name: "Threading", ContainingNamespace.Name: "System" },
    };

    private static bool IsOmitted(IOperation? operation, IParameterSymbol parameter)
    {
        var arguments = operation switch
        {
            IInvocationOperation invocation => invocation.Arguments,
            IObjectCreationOperation creation => creation.Arguments,
            _ => [],
        };
        return arguments.Any(argument => argument.ArgumentKind == ArgumentKind.DefaultValue && argument.Parameter?.Name == parameter.Name);
    }
}
