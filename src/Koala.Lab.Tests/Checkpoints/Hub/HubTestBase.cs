using System.Collections.Concurrent;
using Koala.Lab.Checkpoints.Hub;

namespace Koala.Lab.Tests.Checkpoints.Hub;

/// <summary>A hub with a small model, a cache for the test, and a clock that does not make tests wait.</summary>
public abstract class HubTestBase : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    protected HubTestBase()
    {
        Hub.Files["config.json"] = "hello\n"u8.ToArray();
        Hub.Files["tokenizer.json"] = Bytes(3000, 1);
        Hub.Files["model.safetensors"] = Bytes(500_000, 2);
        Hub.Files["README.md"] = "read"u8.ToArray();
        Hub.Files["pytorch_model.bin"] = Bytes(2000, 3);
    }

    internal FakeHub Hub { get; } = new();

    internal ConcurrentQueue<TimeSpan> Waits { get; } = [];

    internal ConcurrentQueue<string> Notes { get; } = [];

    private protected RetryPolicy Patience => new()
    {
        Idle = TimeSpan.FromSeconds(20),
        Wait = (span, cancel) =>
        {
            Waits.Enqueue(span);
            return Task.Delay(TimeSpan.FromMilliseconds(1), cancel);
        },
    };

    internal HubSettings Settings => new(_folder.Path, Hub.Endpoint, null, false);

    internal string At(params string[] parts) => _folder.At(["models--koala--nano", .. parts]);

    internal string CacheFolder => _folder.Path;

    internal string Blob(string file) => At("blobs", FakeHub.HashOf(Hub.Files[file]));

    internal static byte[] Bytes(int count, int seed)
    {
        var bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    private protected HubPull Pull(string? file = null, string repo = "koala/nano", string revision = "main",
        HubSettings? settings = null, HubCache? cache = null,
        RetryPolicy? policy = null, Action<HubProgress>? watch = null, CancellationToken cancel = default) =>
        PullAsync(file, repo, revision, settings, cache, policy, watch, cancel).GetAwaiter().GetResult();

    private protected Task<HubPull> PullAsync(string? file = null, string repo = "koala/nano", string revision = "main",
        HubSettings? settings = null, HubCache? cache = null,
        RetryPolicy? policy = null, Action<HubProgress>? watch = null, CancellationToken cancel = default) =>
        HubDownload.PullAsync(repo, file, revision, settings ?? Settings,
            cache ?? new HubCache((settings ?? Settings).Cache), policy ?? Patience, new Watch(progress =>
        {
            if (progress.Note is { } note) Notes.Enqueue(note);
            watch?.Invoke(progress);
        }), cancel);

    /// <summary>The one-line error of a pull that is refused.</summary>
    internal string Fault(string? file = null, string repo = "koala/nano", string revision = "main",
        HubSettings? settings = null)
    {
        var line = Assert.Throws<KoalaException>(() => Pull(file, repo, revision, settings)).Message;
        Assert.DoesNotContain('\n', line);
        return line;
    }

    /// <summary>Asserts that all files of a target are in the cache, byte for byte.</summary>
    internal void AssertComplete()
    {
        foreach (var name in new[] { "config.json", "tokenizer.json", "model.safetensors" })
            Assert.Equal(Hub.Files[name], File.ReadAllBytes(At("snapshots", Hub.Commit, name)));
        Assert.Empty(Directory.GetFiles(At("blobs"), "*.incomplete"));
    }

    /// <summary>Replaces the first answer for a file.</summary>
    internal void Once(string file, Func<Request, Reply> reply)
    {
        var done = false;
        Hub.Misbehave = request =>
        {
            if (done || !request.IsFor(file)) return null;
            done = true;
            return reply(request);
        };
    }

    public void Dispose()
    {
        Hub.Dispose();
        _folder.Dispose();
        GC.SuppressFinalize(this);
    }

    private sealed class Watch(Action<HubProgress> report) : IProgress<HubProgress>
    {
        public void Report(HubProgress value) => report(value);
    }
}
