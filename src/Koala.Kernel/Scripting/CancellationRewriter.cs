using System.Text;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;

namespace Koala.Kernel.Scripting;

/// <summary>Gives the cell's cancellation token to calls that could take one and were given none: an interrupt then ends a training run
/// between two steps though the cell never spoke of tokens.</summary>
internal static class CancellationRewriter
{
    private const string Token = "global::Koala.Kernel.Scripting.StopFlag.Cancel";

    /// <summary>The code with tokens passed; null: it has no such call.</summary>
    /// <param name="compilation">Of the cell, without errors.</param>
    /// <param name="name">The cell's name, under which its text stands in the compilation.</param>
    public static string? Pass(Compilation compilation, string name)
    {
        var tree = compilation.SyntaxTrees.First(t => t.FilePath == name);
        var calls = tree.GetRoot().DescendantNodes().Where(node => node is InvocationExpressionSyntax or BaseObjectCreationExpressionSyntax { ArgumentList: not null }).ToArray();
        if (calls.Length == 0) return null;
        var model = compilation.GetSemanticModel(tree);
        StringBuilder? code = null;
        // From the end on, so that places stay right.
        foreach (var call in calls.OrderByDescending(call => List(call).CloseParenToken.SpanStart))
        {
            if (model.GetSymbolInfo(call).Symbol is not IMethodSymbol { IsVararg: false } method || method.Parameters is [] || method.Parameters[^1].IsParams) continue;
            var parameter = method.Parameters.LastOrDefault(p => p.IsOptional && p.Type is { Name: nameof(CancellationToken), ContainingNamespace: { Name: "Threading", ContainingNamespace.Name: "System" } });
            if (parameter is null || !IsOmitted(model.GetOperation(call), parameter)) continue;
            var list = List(call);
            code ??= new StringBuilder(tree.ToString());
            code.Insert(list.CloseParenToken.SpanStart, $"{(list.Arguments.Count > 0 ? ", " : "")}@{parameter.Name}: {Token}");
        }
        return code?.ToString();
    }

    private static ArgumentListSyntax List(SyntaxNode call) => call is InvocationExpressionSyntax invocation ? invocation.ArgumentList : ((BaseObjectCreationExpressionSyntax)call).ArgumentList!;

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
