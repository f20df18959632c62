using Microsoft.CodeAnalysis.CSharp;

namespace Koala.Kernel;

/// <summary>The name that a directive gives to a variable of C#.</summary>
internal static class VariableName
{
    /// <exception cref="Koala.Lab.KoalaException">C# has no variable of this name.</exception>
    public static void Check(string option, string name)
    {
        if (SyntaxFacts.IsValidIdentifier(name) && SyntaxFacts.GetKeywordKind(name) == SyntaxKind.None) return;
        throw Fault.Create(option, $"is '{Excerpt.Of(name)}', but a variable of C# has another form of name",
            $"write it as {option} report");
    }
}
