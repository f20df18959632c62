using System.Runtime.InteropServices;
using Microsoft.CodeAnalysis;

namespace Koala.Kernel.Language;

/// <summary>
/// The references to the framework for completion and hover. They come from the SDK's reference pack, which has
/// documentation, or from the runtime if there is no such pack.
/// </summary>
internal static class FrameworkReferences
{
    public static IReadOnlyList<MetadataReference> Load()
    {
        var runtime = RuntimeEnvironment.GetRuntimeDirectory();
        var pack = Path.Combine(runtime, "..", "..", "..", "packs", "Microsoft.NETCore.App.Ref");
        string[] packVersions = Directory.Exists(pack) ? Directory.GetDirectories(pack, $"{Environment.Version.Major}.*") : [];
        var packFolders = packVersions.Select(folder => Path.Combine(folder, "ref", $"net{Environment.Version.Major}.0"));
        var newest = packFolders.Where(Directory.Exists).Order(StringComparer.Ordinal).LastOrDefault();
        if (newest is not null) return [.. Directory.GetFiles(newest, "*.dll").Select(FromFile)];
        return [.. Directory.GetFiles(runtime, "*.dll").Where(IsManaged).Select(FromFile)];
    }

    /// <summary>Creates a reference, with the documentation file beside it if there is one.</summary>
    public static MetadataReference FromFile(string path) =>
        Path.ChangeExtension(path, ".xml") is var xml && File.Exists(xml)
            ? MetadataReference.CreateFromFile(path, documentation: XmlDocumentationProvider.CreateFromFile(xml))
            : MetadataReference.CreateFromFile(path);

    // The folder of the runtime has native libraries too.
    private static bool IsManaged(string file)
    {
        var name = Path.GetFileName(file);
        return name.StartsWith("System.", StringComparison.Ordinal)
            || name is "mscorlib.dll" or "netstandard.dll" or "Microsoft.CSharp.dll";
    }
}
