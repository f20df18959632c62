namespace Koala.Kernel.Packages;

/// <summary>The result of a restore.</summary>
/// <param name="Added">The requested packages, with the versions that the restore chose.</param>
/// <param name="CompileFiles">The assemblies that cells refer to.</param>
/// <param name="RuntimeFiles">The assemblies that are loaded, by their simple names.</param>
/// <param name="NativeFolders">The folders with native libraries.</param>
/// <param name="Extensions">The scripts with which packages that are new to this session register themselves.</param>
internal sealed record RestoredPackages(
    IReadOnlyList<PackageReference> Added,
    IReadOnlyList<string> CompileFiles,
    IReadOnlyList<string> RuntimeFiles,
    IReadOnlyList<string> NativeFolders,
    IReadOnlyList<string> Extensions);
