using System.Text.RegularExpressions;

namespace Koala.Lab.Runtime.Native;

/// <summary>Reads the version of a libtorch from its folder, because the library itself does not export it.</summary>
internal static partial class LibTorchVersion
{
    /// <summary>The version of the loaded libtorch; null if it is unknown.</summary>
    internal static string? Loaded => Find(LibTorch.Folder, LibTorch.Origin);

    /// <summary>
    /// Finds the version in libtorch's build-version or PyTorch's version.py in the parent folder; null if there is neither file.
    /// </summary>
    internal static string? Find(string? folder, string origin)
    {
        if (origin == "package cache") return LibTorch.Version;
        if (folder is null) return null;
        var above = Path.GetDirectoryName(folder.TrimEnd('/')) ?? folder;
        var buildVersion = Path.Combine(above, "build-version");
        if (File.Exists(buildVersion)) return File.ReadAllText(buildVersion).Trim();
        var versionScript = Path.Combine(above, "version.py");
        return File.Exists(versionScript) && Assignment().Match(File.ReadAllText(versionScript)) is { Success: true } match
            ? match.Groups[1].Value
            : null;
    }

    [GeneratedRegex("""^__version__\s*=\s*['"]([^'"]+)['"]""", RegexOptions.Multiline)]
    private static partial Regex Assignment();
}
