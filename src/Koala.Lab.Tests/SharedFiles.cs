namespace Koala.Lab.Tests;

/// <summary>
/// Large models and recorded outputs that do not ship. They are in a folder <c>shared</c> next to the repository or to
/// a folder above it.
/// </summary>
internal static class SharedFiles
{
    private static readonly string? s_folder = Find();

    /// <summary>The path of a file in the folder; the calling test is skipped if it does not exist.</summary>
    public static string At(params string[] parts)
    {
        var path = Path.Combine([s_folder ?? "", .. parts]);
        Assert.SkipWhen(s_folder is null || !(File.Exists(path) || Directory.Exists(path)),
            $"no ../shared/{string.Join('/', parts)}");
        return path;
    }

    private static string? Find()
    {
        for (var folder = new DirectoryInfo(TestFiles.Root).Parent; folder is not null; folder = folder.Parent)
            if (Directory.Exists(Path.Combine(folder.FullName, "shared", "models")))
                return Path.Combine(folder.FullName, "shared");
        return null;
    }
}
