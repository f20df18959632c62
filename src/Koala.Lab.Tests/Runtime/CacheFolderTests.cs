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
}
