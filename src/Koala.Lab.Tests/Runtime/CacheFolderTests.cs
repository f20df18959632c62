using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Tests.Runtime;

public sealed class CacheFolderTests
{
    [Fact]
    public void Is_created_on_first_use()
    {
        using var folder = new TemporaryFolder();
        Assert.Equal(folder.At("cache", "koala"), CacheFolder.Under(folder.At("cache")));
        Assert.True(Directory.Exists(folder.At("cache", "koala")));
    }

    [Fact]
    public void A_folder_that_cannot_be_created_is_one_error()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.At("file"), "");
        Assert.Contains("XDG_CACHE_HOME", Assert.Throws<KoalaException>(() => CacheFolder.Under(folder.At("file"))).Fix,
            StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_made_is_kept_and_made_again_where_it_cannot_be_kept()
    {
        using var folder = new TemporaryFolder();
        var made = 0;
        byte[] Make() => [(byte)++made];
        Assert.Equal([1], CacheFolder.Keep(() => folder.Path, "code", Make)!);
        Assert.Equal([1], CacheFolder.Keep(() => folder.Path, "code", Make)!);
        Assert.Null(CacheFolder.Keep(() => folder.Path, "other", () => null));
        Assert.False(File.Exists(folder.At("other")));

        // No folder, a file in place of the folder, and a folder in place of the file.
        File.WriteAllText(folder.At("file"), "");
        Directory.CreateDirectory(folder.At("taken"));
        Assert.Equal([2], CacheFolder.Keep(() => CacheFolder.Under(folder.At("file")), "code", Make)!);
        Assert.Equal([3], CacheFolder.Keep(() => folder.At("file"), "code", Make)!);
        Assert.Equal([4], CacheFolder.Keep(() => folder.Path, "taken", Make)!);
    }
}
