using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Reflection;
using Microsoft.CodeAnalysis;

namespace Koala.Kernel.Scripting;

/// <summary>Finds the assemblies that cells refer to, and reads the metadata of each once a session.</summary>
/// <remarks>The default resolver reads metadata anew for every cell: 13 MB and 40 ms each.</remarks>
internal sealed class References : MetadataReferenceResolver
{
    private readonly ConcurrentDictionary<string, PortableExecutableReference> _byPath = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, string> _bySimpleName = new(StringComparer.OrdinalIgnoreCase);

    public References()
    {
        // What the process itself would load by name: the framework and what lies beside the command.
        foreach (var path in ((string?)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries))
            _bySimpleName.TryAdd(Path.GetFileNameWithoutExtension(path), path);
    }

    public override bool ResolveMissingAssemblies => true;

    /// <summary>Every file that a cell has referred to, by name or through another.</summary>
    public IEnumerable<PortableExecutableReference> Used => _byPath.Values;

    /// <summary>The reference to an assembly of this process.</summary>
    public PortableExecutableReference Of(Assembly assembly) => OfFile(assembly.Location);

    /// <summary>Where an assembly of that simple name lies, for the compiler and the loader alike.</summary>
    public void Add(string path) => _bySimpleName.TryAdd(Path.GetFileNameWithoutExtension(path), path);

    /// <summary>The file of the assembly of that simple name; null: unknown.</summary>
    public string? FileOf(string simpleName) => _bySimpleName.GetValueOrDefault(simpleName);

    public PortableExecutableReference OfFile(string path) => _byPath.GetOrAdd(path, p =>
        DisplayExtensionsOfFormatting.IsIn(p) ? DisplayExtensionsOfFormatting.WithoutThem(p) : MetadataReference.CreateFromFile(p));

    public override ImmutableArray<PortableExecutableReference> ResolveReference(string reference, string? baseFilePath, MetadataReferenceProperties properties)
    {
        var path = Find(reference, baseFilePath);
        return path is null ? [] : [OfFile(path).WithProperties(properties)];
    }

    public override PortableExecutableReference? ResolveMissingAssembly(MetadataReference definition, AssemblyIdentity referenceIdentity)
    {
        if (FileOf(referenceIdentity.Name) is { } known) return OfFile(known);
        if (definition is not PortableExecutableReference { FilePath: { } file }) return null;
        var beside = Path.Combine(Path.GetDirectoryName(file)!, referenceIdentity.Name + ".dll");
        return File.Exists(beside) ? OfFile(beside) : null;
    }

    public override bool Equals(object? other) => ReferenceEquals(this, other);

    public override int GetHashCode() => System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(this);

    private string? Find(string reference, string? baseFilePath)
    {
        var folder = Path.GetDirectoryName(baseFilePath) is { Length: > 0 } loaded ? loaded : Directory.GetCurrentDirectory();
        var path = Path.GetFullPath(Path.Combine(folder, reference));
        if (File.Exists(path)) return Preferred(path);
        path = Path.GetFullPath(reference);
        if (File.Exists(path)) return Preferred(path);
        // A path that is not there, to an assembly that this process has: a notebook of the clone names a build of the library that another kernel would need.
        var name = reference.EndsWith(".dll", StringComparison.OrdinalIgnoreCase) ? Path.GetFileNameWithoutExtension(reference) : reference.Split(',')[0];
        return FileOf(name);
    }

    // One process has one assembly of a name: what it has already wins over a copy elsewhere, for the compiler as for the loader.
    private string Preferred(string path)
    {
        var name = Path.GetFileNameWithoutExtension(path);
        if (_bySimpleName.TryGetValue(name, out var known) && Same(known, path)) return known;
        _bySimpleName.TryAdd(name, path);
        return path;

        static bool Same(string a, string b)
        {
            try
            {
                return AssemblyName.GetAssemblyName(a).FullName == AssemblyName.GetAssemblyName(b).FullName;
            }
            catch (Exception e) when (e is BadImageFormatException or IOException)
            {
                return false;
            }
        }
    }
}
