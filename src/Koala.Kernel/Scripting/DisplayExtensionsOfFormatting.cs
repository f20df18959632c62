using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;
using Microsoft.CodeAnalysis;

namespace Koala.Kernel.Scripting;

/// <summary>
/// Hides <c>System.DisplayExtensions</c> of Microsoft.DotNet.Interactive.Formatting from cells. The object that its
/// <c>Display</c> returns is not the one that is shown, so <c>Update</c> shows nothing. Cells see this kernel's class
/// of the same name instead.
/// </summary>
internal static class DisplayExtensionsOfFormatting
{
    private static readonly string s_file = typeof(Microsoft.DotNet.Interactive.Formatting.Formatter).Assembly.Location;

    public static bool IsIn(string path) => path == s_file;

    /// <summary>
    /// Creates a reference to a copy of the assembly in memory, in which that one type is internal. The file does not
    /// change, and cells run with the file.
    /// </summary>
    public static PortableExecutableReference CreateReferenceWithout(string path)
    {
        var image = File.ReadAllBytes(path);
        using var pe = new PEReader(new MemoryStream(image));
        var metadata = pe.GetMetadataReader();
        var type = metadata.TypeDefinitions.Single(IsDisplayExtensions);
        // A row of the table begins with the flags (ECMA-335 II.22.37). Their lowest three bits are the visibility, and
        // 0 is internal.
        var table = pe.PEHeaders.MetadataStartOffset + metadata.GetTableMetadataOffset(TableIndex.TypeDef);
        var row = table + (MetadataTokens.GetRowNumber(type) - 1) * metadata.GetTableRowSize(TableIndex.TypeDef);
        image[row] &= unchecked((byte)~(byte)TypeAttributes.VisibilityMask);
        return MetadataReference.CreateFromImage(image, filePath: path);

        bool IsDisplayExtensions(TypeDefinitionHandle handle)
        {
            var definition = metadata.GetTypeDefinition(handle);
            return metadata.StringComparer.Equals(definition.Name, "DisplayExtensions")
                && metadata.StringComparer.Equals(definition.Namespace, "System");
        }
    }
}
