using System.Runtime.InteropServices;
using Microsoft.CodeAnalysis;

namespace Koala.Kernel.Language;

/// <summary>The framework for completion and hover: the SDK's reference pack, which has documentation, else the runtime's own files.</summary>
internal static class FrameworkReferences
{
    public static IReadOnlyList<MetadataReference> Load()
    {
        var runtime = RuntimeEnvironment.GetRuntimeDirectory();
        var pack = Path.Combine(runtime, "..", "..", "..", "packs", "Microsoft.NETCore.App.Ref");
        var newest = !Directory.Exists(pack) ? null : Directory.GetDirectories(pack, $"{Environment.Version.Major}.*")
            .Select(folder => Path.Combine(folder, "ref", $"net{Environment.Version.Major}.0")).Where(Directory.Exists).Order(StringComparer.Ordinal).LastOrDefault();
        if (newest is not null) return [.. Directory.GetFiles(newest, "*.dll").Select(OfFile)];
        // The runtime's folder has native libraries too.
        return [.. Directory.GetFiles(runtime, "*.dll").Where(file => Path.GetFileName(file).StartsWith("System.", StringComparison.Ordinal) || Path.GetFileName(file) is "mscorlib.dll" or "netstandard.dll" or "Microsoft.CSharp.dll").Select(OfFile)];
    }

    /// <summary>A reference with the documentation beside it, where there is some.</summary>
    public static MetadataReference OfFile(string path) =>
        Path.ChangeExtension(path, ".xml") is var xml && File.Exists(xml)
            ? MetadataReference.CreateFromFile(path, documentation: XmlDocumentationProvider.CreateFromFile(xml))
            : MetadataReference.CreateFromFile(path);
}
