using System.Text;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Text;

namespace Koala.Kernel.Scripting;

/// <summary>
/// Compiles the classes with extension methods of a cell as a separate library, because the compiler rejects them in a
/// script (CS1109).
/// </summary>
internal static class ExtensionLibrary
{
    /// <summary>Moves such classes from a cell to a library.</summary>
    /// <param name="code">The code of the cell.</param>
    /// <param name="name">The name of the cell in errors.</param>
    /// <returns>
    /// The cell with blanks in place of the classes, and the code of the library; null if the cell has no such class.
    /// </returns>
    public static (string Cell, string Library)? Extract(string code, string name)
    {
        if (!code.Contains("static", StringComparison.Ordinal) || !code.Contains("class", StringComparison.Ordinal)) return null;
        var root = (CompilationUnitSyntax)CSharpSyntaxTree.ParseText(code, CSharpSession.ParseOptions).GetRoot();
        var classes = root.Members.OfType<ClassDeclarationSyntax>().Where(HasExtensions).ToArray();
        if (classes.Length == 0) return null;
        var library = new StringBuilder();
        foreach (var import in CSharpSession.Imports.SkipLast(1)) library.Append($"global using {import};\n");
        foreach (var import in root.Usings) library.Append(LineDirective(root, import.SpanStart, name)).Append(import).Append('\n');
        var rest = new StringBuilder(code);
        foreach (var type in classes)
        {
            library.Append(LineDirective(root, type.SpanStart, name)).Append(MakePublic(type)).Append('\n');
            for (var i = type.SpanStart; i < type.Span.End; i++)
                if (rest[i] != '\n') rest[i] = ' ';
        }
        return (rest.ToString(), library.ToString());
    }

    public static CSharpCompilation Compile(string library, string name, IEnumerable<MetadataReference> references)
    {
        var parseOptions = CSharpSession.ParseOptions.WithKind(SourceCodeKind.Regular);
        var tree = CSharpSyntaxTree.ParseText(SourceText.From(library, Encoding.UTF8), parseOptions, path: name);
        var options = new CSharpCompilationOptions(
            OutputKind.DynamicallyLinkedLibrary, optimizationLevel: OptimizationLevel.Release, allowUnsafe: true);
        return CSharpCompilation.Create($"{name}-extensions-{Guid.NewGuid():N}", [tree], references, options);
    }

    private static bool HasExtensions(ClassDeclarationSyntax type) =>
        type.Modifiers.Any(SyntaxKind.StaticKeyword) && type.Members.Any(IsExtension);

    private static bool IsExtension(MemberDeclarationSyntax member) =>
        member is MethodDeclarationSyntax { ParameterList.Parameters: [{ } first, ..] } && first.Modifiers.Any(SyntaxKind.ThisKeyword)
        || member.IsKind(SyntaxKind.ExtensionBlockDeclaration);

    // Cells are in another assembly, so a class that is internal or has no modifier must become public for them.
    private static string MakePublic(ClassDeclarationSyntax type) =>
        type.Modifiers.Any(SyntaxKind.PublicKeyword) || type.Modifiers.Any(SyntaxKind.InternalKeyword)
            ? type.ToString().Replace("internal ", "public ", StringComparison.Ordinal)
            : $"public {type}";

    private static string LineDirective(SyntaxNode root, int position, string name)
    {
        var line = root.SyntaxTree.GetLineSpan(new TextSpan(position, 0)).StartLinePosition.Line + 1;
        return $"#line {line} \"{name}\"\n";
    }
}
