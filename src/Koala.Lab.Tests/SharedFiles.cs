namespace Koala.Lab.Tests;

/// <summary>
/// Large models and recorded outputs that do not ship: a folder <c>shared</c> beside the repository or beside a folder
/// above it.
/// </summary>
internal static class SharedFiles
{
    private static readonly string? s_folder = Find();

    /// <summary>A path in it; the test that asks is skipped where it is absent.</summary>
    public static string At(params string[] parts)
    {
        var path = Path.Combine([s_folder ?? "", .. parts]);
        Assert.SkipWhen(s_folder is null || !(File.Exists(path) || Directory.Exists(path)), $"no ../shared/{string.Join('/', parts)}");
        return path;
    }

    private static string? Find()
    {
        for (var folder = new DirectoryInfo(TestFiles.Root).Parent; folder is not null; folder = folder.Parent)
            if (Directory.Exists(Path.Combine(folder.FullName, "shared", "models"))) return Path.Combine(folder.FullName, "shared");
        return null;
    }
}
