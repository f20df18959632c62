using System.Globalization;
using Koala.Kernel.Scripting;
using Koala.Lab;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Koala.Kernel.Notebooks;

/// <summary>
/// Replaces the values that the cell tagged <c>parameters</c> sets. It inserts a cell of assignments directly after
/// that cell.
/// </summary>
internal static class Parameters
{
    public const string Tag = "parameters";
    public const string InjectedTag = "injected-parameters";

    /// <exception cref="KoalaException">
    /// The cell or a variable does not exist, or a value does not fit its variable.
    /// </exception>
    public static void Inject(Notebook notebook, IReadOnlyList<KeyValuePair<string, string>> values)
    {
        // The notebook may still have the assignments of an earlier run.
        foreach (var old in notebook.Cells.Where(cell => cell.Tags.Contains(InjectedTag)).ToArray()) notebook.Remove(old);
        if (values.Count == 0) return;
        var cell = notebook.Cells.FirstOrDefault(cell => cell.IsCode && cell.Tags.Contains(Tag));
        if (cell is null)
        {
            var tags = notebook.Cells.SelectMany(c => c.Tags).Distinct().ToArray();
            var found = tags.Length > 0 ? $"its tags are {string.Join(", ", tags)}" : "it has no tags";
            throw new KoalaException(notebook.Path, $"has no cell tagged '{Tag}' ({found}), so -p {values[0].Key} cannot be set",
                "tag the cell that sets the variables, or omit -p");
        }
        if (cell.Language != CellLanguage.CSharp)
        {
            throw new KoalaException(notebook.Path, $"the cell tagged '{Tag}' is in '{cell.Language}'",
                "tag a C# cell that sets the variables, or omit -p");
        }
        var variables = Variables(cell.Source);
        var lines = values.Select(value => $"{value.Key} = {Literal(notebook.Path, variables, value)};");
        notebook.InsertAfter(cell, NotebookCell.NewCode("injected-parameters", $"// Parameters\n{string.Join('\n', lines)}", InjectedTag));
    }

    private static Dictionary<string, VariableDeclaratorSyntax> Variables(string source)
    {
        var root = (CompilationUnitSyntax)CSharpSyntaxTree.ParseText(source, CSharpSession.ParseOptions).GetRoot();
        var fields = root.Members.OfType<FieldDeclarationSyntax>().Where(field => !field.Modifiers.Any(SyntaxKind.ConstKeyword));
        var byName = fields.SelectMany(field => field.Declaration.Variables).GroupBy(variable => variable.Identifier.ValueText);
        return byName.ToDictionary(group => group.Key, group => group.Last());
    }

    private static string Literal(string path, Dictionary<string, VariableDeclaratorSyntax> variables, KeyValuePair<string, string> value)
    {
        if (!variables.TryGetValue(value.Key, out var variable))
        {
            var known = variables.Count > 0 ? string.Join(", ", variables.Keys) : "none";
            throw new KoalaException(path, $"the cell tagged '{Tag}' has no variable {value.Key}; it has {known}", "name one of those");
        }
        var text = value.Value;
        var type = Type(variable);
        var culture = CultureInfo.InvariantCulture;
        return type switch
        {
            "string" => SymbolDisplay.FormatLiteral(text, quote: true),
            "bool" when bool.TryParse(text, out var b) => b ? "true" : "false",
            "int" when int.TryParse(text, NumberStyles.AllowLeadingSign, culture, out var i) => i.ToString(culture),
            "long" when long.TryParse(text, NumberStyles.AllowLeadingSign, culture, out var l) => l.ToString(culture) + "L",
            "double" when double.TryParse(text, NumberStyles.Float, culture, out var d) && double.IsFinite(d) =>
                d.ToString("R", culture) + "d",
            "float" when float.TryParse(text, NumberStyles.Float, culture, out var f) && float.IsFinite(f) =>
                f.ToString("R", culture) + "f",
            "bool" or "int" or "long" or "double" or "float" =>
                throw new KoalaException($"-p {value.Key}={text}", $"{value.Key} is of type {type}", $"give a value of type {type}"),
            // Any other type (a list, a record, a combined path) takes a C# expression, as the cell has it.
            _ => SyntaxFactory.ParseExpression(text, options: CSharpSession.ParseOptions).ContainsDiagnostics
                ? throw new KoalaException($"-p {value.Key}={text}", "is not a C# expression",
                    $"write it as the cell does: {variable.Initializer?.Value}")
                : text,
        };
    }

    // The type of the variable as far as the syntax shows it; null if only the compiler knows the type.
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
