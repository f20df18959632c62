namespace Koala.Kernel.Packages;

/// <summary>What a restore brought.</summary>
/// <param name="Added">The packages asked for, with the versions they got.</param>
/// <param name="CompileFiles">What cells refer to.</param>
/// <param name="RuntimeFiles">What is loaded, by simple name.</param>
/// <param name="NativeFolders">Folders with native libraries.</param>
/// <param name="Extensions">Scripts of packages new to this session that register themselves.</param>
internal sealed record RestoredPackages(IReadOnlyList<PackageReference> Added, IReadOnlyList<string> CompileFiles, IReadOnlyList<string> RuntimeFiles,
    IReadOnlyList<string> NativeFolders, IReadOnlyList<string> Extensions);
