using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using Koala.Lab.Checkpoints;
using Koala.Lab.Data;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Runs;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Training;

namespace Koala.Lab.Tests.Runtime;

/// <summary>Whatever is no file is refused before it is opened: to open a pipe is to wait for its writer.</summary>
public sealed class InputFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Readers => [.. s_readers.Keys];

    private static readonly Dictionary<string, Action<string>> s_readers = new()
    {
        ["prompts"] = path => Prompts.Load(path),
        ["chats"] = path => Conversations.Load(path),
        ["chats to train on"] = path =>
            TrainingData.Load(ShippedModels.Nano, path, null, new TrainingOptions { RowLength = 64 }),
        ["hash of prompts"] = path => Provenance.Create([], path),
        ["a tree"] = path => StaticTree.Find(path),
        ["a record"] = path => RunRecord.Read(path),
        ["metrics"] = path => MetricsLog.Read(path),
        ["metrics of a resumed run"] = path => MetricsLog.Resume(path, 3).Dispose(),
        ["weights"] = path => FileBytes.Open(path).File.Dispose(),
        ["JSON of a model"] = path => JsonFile.Read(path, 1024),
    };

    public void Dispose() => _folder.Dispose();

    [Theory, MemberData(nameof(Readers))]
    public async Task A_pipe_and_a_device_are_refused_in_one_line(string reader)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "kinds of files are distinguished on Linux only");
        var pipe = _folder.At("pipe.jsonl");
        using (var mkfifo = Process.Start("mkfifo", [pipe])) await mkfifo.WaitForExitAsync(TestContext.Current.CancellationToken);
        foreach (var (path, kind) in ((string, string)[])[(pipe, "a pipe"), ("/dev/zero", "a device")])
        {
            var fault = await Assert.ThrowsAsync<KoalaException>(() =>
                Task.Run(() => s_readers[reader](path)).WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken));
            Assert.Equal((path, $"is {kind}, but a file is expected"), (fault.Where, fault.Fault));
        }
    }

    [Fact]
    public void A_folder_and_a_socket_are_refused_and_a_missing_file_is_named()
    {
        Assert.Contains("is a folder", Assert.Throws<KoalaException>(() => InputFile.Open(_folder.Path)).Fault);
        Assert.Equal("does not exist", Assert.Throws<KoalaException>(() => InputFile.Open(_folder.At("none"))).Fault);
        Assert.Equal("does not exist", Assert.Throws<KoalaException>(() => InputFile.Open(_folder.At("none", "below"))).Fault);
        Assert.Throws<KoalaException>(() => InputFile.Open("a\0b"));
        Assert.SkipUnless(OperatingSystem.IsLinux(), "kinds of files are distinguished on Linux only");
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(_folder.At("socket")));
        Assert.Contains("is a socket", Assert.Throws<KoalaException>(() => InputFile.Open(_folder.At("socket"))).Fault);
    }

    [Fact]
    public void A_link_to_a_file_is_a_file()
    {
        File.WriteAllText(_folder.At("file"), "text");
        File.CreateSymbolicLink(_folder.At("link"), _folder.At("file"));
        Assert.Equal("text", InputFile.ReadText(_folder.At("link"), 4));
    }

    [Fact]
    public void A_file_that_is_too_long_is_not_read()
    {
        using (var file = File.Create(_folder.At("sparse"))) file.SetLength(3L << 30);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Contains("at most 1024", Assert.Throws<KoalaException>(() => InputFile.Read(_folder.At("sparse"), 1024)).Fault);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
    }

    [Fact]
    public void Text_that_is_not_UTF_8_is_refused_and_a_byte_order_mark_is_left_out()
    {
        File.WriteAllBytes(_folder.At("marked"), [0xef, 0xbb, 0xbf, (byte)'a']);
        Assert.Equal("a", InputFile.ReadText(_folder.At("marked"), 10));
        File.WriteAllBytes(_folder.At("latin1"), [0xe9]);
        Assert.Contains("UTF-8", Assert.Throws<KoalaException>(() => InputFile.ReadText(_folder.At("latin1"), 10)).Fault);
    }

    [Theory, InlineData(false), InlineData(true)]
    public void Text_in_UTF_16_with_a_byte_order_mark_is_read(bool bigEndian)
    {
        var encoding = new UnicodeEncoding(bigEndian, byteOrderMark: true);
        File.WriteAllText(_folder.At("marked"), "é😀", encoding);
        Assert.Equal("é😀", InputFile.ReadText(_folder.At("marked"), 8));
        Assert.Contains("at most 7", Assert.Throws<KoalaException>(() => InputFile.ReadText(_folder.At("marked"), 7)).Fault);
        File.WriteAllBytes(_folder.At("half"), [.. encoding.GetPreamble(), .. encoding.GetBytes("😀")[..2]]);
        Assert.Equal("is not valid UTF-16", Assert.Throws<KoalaException>(() => InputFile.ReadText(_folder.At("half"), 8)).Fault);
    }
}
