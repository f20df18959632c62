using System.Globalization;
using Koala.Kernel.Scripting;
using Koala.Lab;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Koala.Kernel.Notebooks;

/// <summary>Puts values in place of those that the cell tagged <c>parameters</c> sets, by a cell of assignments right behind it.</summary>
internal static class Parameters
{
    public const string Tag = "parameters";
    public const string InjectedTag = "injected-parameters";

    /// <exception cref="KoalaException">There is no such cell, variable, or the value does not fit the variable.</exception>
    public static void Inject(Notebook notebook, IReadOnlyList<KeyValuePair<string, string>> values)
    {
        // Of an earlier run.
        foreach (var old in notebook.Cells.Where(cell => cell.Tags.Contains(InjectedTag)).ToArray()) notebook.Remove(old);
        if (values.Count == 0) return;
        var cell = notebook.Cells.FirstOrDefault(cell => cell.IsCode && cell.Tags.Contains(Tag));
        if (cell is null)
        {
            var tags = notebook.Cells.SelectMany(c => c.Tags).Distinct().ToArray();
            throw new KoalaException(notebook.Path, $"has no cell tagged '{Tag}'{(tags.Length > 0 ? $" (its tags are {string.Join(", ", tags)})" : " (it has no tags)")}, so -p {values[0].Key} has no place",
                "tag the cell that sets the variables, or leave -p out");
        }
        var variables = Variables(cell.Source);
        var lines = values.Select(value => $"{value.Key} = {Literal(notebook.Path, variables, value)};");
        notebook.InsertAfter(cell, NotebookCell.NewCode("injected-parameters", $"// Parameters\n{string.Join('\n', lines)}", InjectedTag));
    }

    private static Dictionary<string, VariableDeclaratorSyntax> Variables(string source)
    {
        var root = (CompilationUnitSyntax)CSharpSyntaxTree.ParseText(source, CSharpSession.ParseOptions).GetRoot();
        return root.Members.OfType<FieldDeclarationSyntax>().Where(field => !field.Modifiers.Any(modifier => modifier.IsKind(SyntaxKind.ConstKeyword)))
            .SelectMany(field => field.Declaration.Variables).GroupBy(v => v.Identifier.ValueText).ToDictionary(group => group.Key, group => group.Last());
    }

    private static string Literal(string path, Dictionary<string, VariableDeclaratorSyntax> variables, KeyValuePair<string, string> value)
    {
        if (!variables.TryGetValue(value.Key, out var variable))
            throw new KoalaException(path, $"the cell tagged '{Tag}' has no variable {value.Key}; it has {(variables.Count > 0 ? string.Join(", ", variables.Keys) : "none")}", "name one of those");
        var text = value.Value;
        var type = Type(variable);
        return type switch
        {
            "string" => SymbolDisplay.FormatLiteral(text, quote: true),
            "bool" when bool.TryParse(text, out var b) => b ? "true" : "false",
            "int" when int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var i) => i.ToString(CultureInfo.InvariantCulture),
            "long" when long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var l) => l.ToString(CultureInfo.InvariantCulture) + "L",
            "double" when double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var d) && double.IsFinite(d) => d.ToString("R", CultureInfo.InvariantCulture) + "d",
            "float" when float.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var f) && float.IsFinite(f) => f.ToString("R", CultureInfo.InvariantCulture) + "f",
            "bool" or "int" or "long" or "double" or "float" => throw new KoalaException($"-p {value.Key}={text}", $"{value.Key} is of type {type}", $"give a value of type {type}"),
            // A list, a record, a path made of parts: written as in the cell.
            _ => SyntaxFactory.ParseExpression(text, options: CSharpSession.ParseOptions).ContainsDiagnostics
                ? throw new KoalaException($"-p {value.Key}={text}", "is no C# expression", $"write it as the cell does: {variable.Initializer?.Value}")
                : text,
        };
    }

    // By how it is written; null: something that only the compiler knows.
    private static string? Type(VariableDeclaratorSyntax variable)
    {
        var declared = ((VariableDeclarationSyntax)variable.Parent!).Type;
        if (declared is NullableTypeSyntax { ElementType: var element }) declared = element;
        if (!declared.IsVar) return declared is PredefinedTypeSyntax predefined ? predefined.Keyword.ValueText : null;
        var value = variable.Initializer?.Value;
        if (value is PrefixUnaryExpressionSyntax { Operand: var operand }) value = operand;
        return value switch
        {
            InterpolatedStringExpressionSyntax => "string",
            LiteralExpressionSyntax { Token.Value: { } literal } => literal switch
            {
                string => "string",
                bool => "bool",
                int => "int",
                long => "long",
                double => "double",
                float => "float",
                _ => null,
            },
            _ => null,
        };
    }
}
