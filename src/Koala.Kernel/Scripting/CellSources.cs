using System.Text;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Text;

namespace Koala.Kernel.Scripting;

/// <summary>
/// Reads the files that cells <c>#load</c>, and rewrites them like cells. Paths are relative to the file that loads
/// them; in a cell they are relative to the working directory.
/// </summary>
internal sealed class CellSources(CSharpParseOptions parse) : SourceReferenceResolver
{
    public override string? NormalizePath(string path, string? baseFilePath) => path;

    public override string? ResolveReference(string path, string? baseFilePath)
    {
        var folder = Path.GetDirectoryName(baseFilePath) is { Length: > 0 } baseFolder ? baseFolder : Directory.GetCurrentDirectory();
        var full = Path.GetFullPath(Path.Combine(folder, path));
        return File.Exists(full) ? full : null;
    }

    public override Stream OpenRead(string resolvedPath) =>
        new MemoryStream(Encoding.UTF8.GetBytes(InterruptRewriter.Rewrite(File.ReadAllText(resolvedPath), parse)));

    public override SourceText ReadText(string resolvedPath) =>
        SourceText.From(InterruptRewriter.Rewrite(File.ReadAllText(resolvedPath), parse), Encoding.UTF8);

    public override bool Equals(object? other) => ReferenceEquals(this, other);

    public override int GetHashCode() => System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(this);
}
