using System.Reflection;
using Koala.Lab.Runtime.Native;

namespace Koala.Lab.Runs;

/// <summary>The versions of the software that a run was computed with.</summary>
internal static class PackageVersions
{
    /// <summary>Returns the versions of Koala, libtorch and the packages that the library refers to, by name.</summary>
    internal static IReadOnlyDictionary<string, string> Read()
    {
        var library = typeof(PackageVersions).Assembly;
        var versions = new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            ["Koala"] = Version(library),
            ["libtorch"] = LibTorch.Version,
        };
        foreach (var reference in library.GetReferencedAssemblies())
            if (!reference.Name!.StartsWith("System", StringComparison.Ordinal) && reference.Name is not ("netstandard" or "mscorlib"))
                versions[reference.Name] = Version(Assembly.Load(reference));
        return versions;
    }

    private static string Version(Assembly assembly) =>
        assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0]
        ?? assembly.GetName().Version!.ToString();
}
