using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;
using Microsoft.CodeAnalysis;

namespace Koala.Kernel.Scripting;

/// <summary>Hides <c>System.DisplayExtensions</c> of Microsoft.DotNet.Interactive.Formatting from cells: what its <c>Display</c> returns is
/// another object than the one shown, so that <c>Update</c> shows nothing. Cells see this kernel's class of the same name instead.</summary>
internal static class DisplayExtensionsOfFormatting
{
    private static readonly string s_file = typeof(Microsoft.DotNet.Interactive.Formatting.Formatter).Assembly.Location;

    public static bool IsIn(string path) => path == s_file;

    /// <summary>The assembly's metadata in memory with that one type made internal; the file and what runs stay as they are.</summary>
    public static PortableExecutableReference WithoutThem(string path)
    {
        var image = File.ReadAllBytes(path);
        using var pe = new PEReader(new MemoryStream(image));
        var metadata = pe.GetMetadataReader();
        var type = metadata.TypeDefinitions.Single(handle =>
            metadata.GetTypeDefinition(handle) is var definition && metadata.StringComparer.Equals(definition.Name, "DisplayExtensions") && metadata.StringComparer.Equals(definition.Namespace, "System"));
        // A row of the table begins with the flags (ECMA-335 II.22.37); visibility is their lowest three bits, 0 is internal.
        var row = pe.PEHeaders.MetadataStartOffset + metadata.GetTableMetadataOffset(TableIndex.TypeDef) + (MetadataTokens.GetRowNumber(type) - 1) * metadata.GetTableRowSize(TableIndex.TypeDef);
        image[row] &= unchecked((byte)~(byte)TypeAttributes.VisibilityMask);
        return MetadataReference.CreateFromImage(image, filePath: path);
    }
}
