using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Reflection;
using Microsoft.CodeAnalysis;

namespace Koala.Kernel.Scripting;

/// <summary>
/// Finds the assemblies that cells refer to, and reads the metadata of each assembly once per session.
/// </summary>
/// <remarks>
/// The default resolver reads the metadata again for every cell, which takes 13 MB and 40 ms per cell.
/// </remarks>
internal sealed class References : MetadataReferenceResolver
{
    private readonly ConcurrentDictionary<string, PortableExecutableReference> _byPath = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, string> _bySimpleName = new(StringComparer.OrdinalIgnoreCase);

    public References()
    {
        // These are the assemblies that the process can load by name: the framework and the files beside the command.
        var assemblies = (string?)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES") ?? "";
        foreach (var path in assemblies.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries))
            _bySimpleName.TryAdd(Path.GetFileNameWithoutExtension(path), path);
    }

    public override bool ResolveMissingAssemblies => true;

    /// <summary>The files that cells have referred to, directly or through other assemblies.</summary>
    public IEnumerable<PortableExecutableReference> Used => _byPath.Values;

    /// <summary>The reference to an assembly of this process.</summary>
    public PortableExecutableReference FromAssembly(Assembly assembly) => FromFile(assembly.Location);

    /// <summary>Makes an assembly known by its simple name, to both the compiler and the loader.</summary>
    public void Add(string path) => _bySimpleName.TryAdd(Path.GetFileNameWithoutExtension(path), path);

    /// <summary>
    /// The reference to a package's assembly. If the session knows an assembly of its name, that one is meant: a process has one of a name,
    /// and the types of the package's copy would be other types than those of the variables of earlier cells.
    /// </summary>
    public PortableExecutableReference OfPackage(string path) => FromFile(FileOf(Path.GetFileNameWithoutExtension(path)) ?? path);

    /// <summary>The file of the assembly with a simple name; null if it is not known.</summary>
    public string? FileOf(string simpleName) => _bySimpleName.GetValueOrDefault(simpleName);

    public PortableExecutableReference FromFile(string path) => _byPath.GetOrAdd(path, p =>
        DisplayExtensionsOfFormatting.IsIn(p)
            ? DisplayExtensionsOfFormatting.CreateReferenceWithout(p)
            : MetadataReference.CreateFromFile(p));

    public override ImmutableArray<PortableExecutableReference> ResolveReference(
        string reference, string? baseFilePath, MetadataReferenceProperties properties)
    {
        var path = Find(reference, baseFilePath);
        return path is null ? [] : [FromFile(path).WithProperties(properties)];
    }

    public override PortableExecutableReference? ResolveMissingAssembly(MetadataReference definition, AssemblyIdentity referenceIdentity)
    {
        if (FileOf(referenceIdentity.Name) is { } known) return FromFile(known);
        if (definition is not PortableExecutableReference { FilePath: { } file }) return null;
        var neighbor = Path.Combine(Path.GetDirectoryName(file)!, referenceIdentity.Name + ".dll");
        return File.Exists(neighbor) ? FromFile(neighbor) : null;
    }

    public override bool Equals(object? other) => ReferenceEquals(this, other);

    public override int GetHashCode() => System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(this);

    private string? Find(string reference, string? baseFilePath)
    {
        var folder = Path.GetDirectoryName(baseFilePath) is { Length: > 0 } baseFolder ? baseFolder : Directory.GetCurrentDirectory();
        var path = Path.GetFullPath(Path.Combine(folder, reference));
        if (File.Exists(path)) return Preferred(path);
        path = Path.GetFullPath(reference);
        if (File.Exists(path)) return Preferred(path);
        // The reference is an assembly name, or a path that does not exist. A notebook of the repository names a build
        // of the library, which another kernel would need, but this process has the library already.
        var isFile = reference.EndsWith(".dll", StringComparison.OrdinalIgnoreCase);
        return FileOf(isFile ? Path.GetFileNameWithoutExtension(reference) : reference.Split(',')[0]);
    }

    // A process has one assembly of a name. An assembly that it knows already is used in place of an equal or older copy elsewhere, by both
    // the compiler and the loader, which refuses a newer one.
    private string Preferred(string path)
    {
        var name = Path.GetFileNameWithoutExtension(path);
        if (_bySimpleName.TryGetValue(name, out var known) && ServesAs(known, path)) return known;
        _bySimpleName.TryAdd(name, path);
        return path;

        static bool ServesAs(string known, string path)
        {
            try
            {
                var (own, other) = (AssemblyName.GetAssemblyName(known), AssemblyName.GetAssemblyName(path));
                return own.Name == other.Name && own.Version >= other.Version
                    && own.GetPublicKeyToken().AsSpan().SequenceEqual(other.GetPublicKeyToken());
            }
            catch (Exception e) when (e is BadImageFormatException or IOException)
            {
                return false;
            }
        }
    }
}
