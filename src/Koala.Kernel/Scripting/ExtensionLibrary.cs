using System.Text;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Text;

namespace Koala.Kernel.Scripting;

/// <summary>Classes with extension methods, which the compiler refuses inside a script (CS1109): they are compiled as a library of their own.</summary>
internal static class ExtensionLibrary
{
    /// <summary>Cuts such classes out of a cell.</summary>
    /// <param name="code">The cell.</param>
    /// <param name="name">Its name in errors.</param>
    /// <returns>The cell with blanks in their place, and the library's text; null where the cell has none.</returns>
    public static (string Cell, string Library)? Cut(string code, string name)
    {
        if (!code.Contains("static", StringComparison.Ordinal) || !code.Contains("class", StringComparison.Ordinal)) return null;
        var root = (CompilationUnitSyntax)CSharpSyntaxTree.ParseText(code, CSharpSession.ParseOptions).GetRoot();
        var classes = root.Members.OfType<ClassDeclarationSyntax>().Where(HasExtensions).ToArray();
        if (classes.Length == 0) return null;
        var library = new StringBuilder();
        foreach (var import in CSharpSession.Imports.SkipLast(1)) library.Append($"global using {import};\n");
        foreach (var import in root.Usings) library.Append(Line(root, import.SpanStart, name)).Append(import).Append('\n');
        var rest = new StringBuilder(code);
        foreach (var type in classes)
        {
            library.Append(Line(root, type.SpanStart, name)).Append(Public(type)).Append('\n');
            for (var i = type.SpanStart; i < type.Span.End; i++)
                if (rest[i] != '\n') rest[i] = ' ';
        }
        return (rest.ToString(), library.ToString());
    }

    public static CSharpCompilation Compile(string library, string name, IEnumerable<MetadataReference> references) => CSharpCompilation.Create(
        $"{name}-extensions-{Guid.NewGuid():N}",
        [CSharpSyntaxTree.ParseText(SourceText.From(library, Encoding.UTF8), CSharpSession.ParseOptions.WithKind(SourceCodeKind.Regular), path: name)],
        references, new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, optimizationLevel: OptimizationLevel.Release, allowUnsafe: true));

    private static bool HasExtensions(ClassDeclarationSyntax type) => type.Modifiers.Any(SyntaxKind.StaticKeyword) && type.Members.Any(member =>
        member is MethodDeclarationSyntax { ParameterList.Parameters: [{ } first, ..] } && first.Modifiers.Any(SyntaxKind.ThisKeyword)
        || member.IsKind(SyntaxKind.ExtensionBlockDeclaration));

    // Cells lie in another assembly: what has no modifier is meant for them.
    private static string Public(ClassDeclarationSyntax type) =>
        type.Modifiers.Any(SyntaxKind.PublicKeyword) || type.Modifiers.Any(SyntaxKind.InternalKeyword) ? type.ToString().Replace("internal ", "public ", StringComparison.Ordinal) : $"public {type}";

    private static string Line(SyntaxNode root, int position, string name) => $"#line {root.SyntaxTree.GetLineSpan(new TextSpan(position, 0)).StartLinePosition.Line + 1} \"{name}\"\n";
}
