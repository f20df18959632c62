using Koala.Lab.Runtime.Native;

namespace Koala.Lab.Tests.Runtime;

public sealed class LibTorchTests
{
    [Fact]
    public void A_truncated_library_is_one_error()
    {
        using var folder = new TemporaryFolder();
        var complete = File.ReadAllBytes(Path.Combine(LibTorch.Folder!, "libc10.so"));
        File.WriteAllBytes(folder.At("whole.so"), complete);
        LibTorch.CheckComplete(folder.At("whole.so"));
        foreach (var length in (int[])[0, 3, 63, 64, 5000, complete.Length - 1])
        {
            File.WriteAllBytes(folder.At("cut.so"), complete[..length]);
            Assert.Equal(folder.At("cut.so"),
                Assert.Throws<KoalaException>(() => LibTorch.CheckComplete(folder.At("cut.so"))).Where);
        }
    }

    [Fact]
    public void A_missing_library_is_one_error()
    {
        using var folder = new TemporaryFolder();
        Assert.Throws<KoalaException>(() => LibTorch.CheckComplete(folder.At("none.so")));
    }
}
