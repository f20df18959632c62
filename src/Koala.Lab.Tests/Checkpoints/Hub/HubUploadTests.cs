using Koala.Lab.Checkpoints.Hub;

namespace Koala.Lab.Tests.Checkpoints.Hub;

/// <summary>Uploads to a local hub, which also misbehaves.</summary>
public sealed class HubUploadTests : IDisposable
{
    private static readonly byte[] s_weights = HubTestBase.Bytes(300_000, 1);
    private readonly TemporaryFolder _folder = new();
    private readonly WritableHub _writable = new();
    private readonly List<string> _notes = [];

    public HubUploadTests() => File.WriteAllBytes(_folder.At("model.safetensors"), s_weights);

    private HubContent[] Files =>
    [
        HubContent.OfText("README.md", "# A head\n"), HubContent.OfText("config.json", "{}"),
        HubContent.OfFile("model.safetensors", _folder.At("model.safetensors")),
    ];

    public void Dispose()
    {
        _writable.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(null)]
    [InlineData(100_000)]
    [InlineData(70_000)]
    public void A_repository_is_made_and_holds_the_files(int? partSize)
    {
        _writable.PartSize = partSize;
        var last = new HubProgress("", 0, 0, 0, 0, 0);
        var push = Push(watch: progress => last = progress);
        Assert.Equal(s_weights, _writable.Hub.Files["model.safetensors"]);
        Assert.Equal("{}"u8.ToArray(), _writable.Hub.Files["config.json"]);
        Assert.Equal("# A head\n"u8.ToArray(), _writable.Hub.Files["README.md"]);
        Assert.Equal(["Upload a draft head with Koala"], _writable.Commits);
        Assert.Equal([FakeHub.HashOf(s_weights)], _writable.Verified);
        Assert.False(_writable.IsPrivate);
        Assert.Equal(("org/head", _writable.Hub.Commit), (push.Repo, push.Commit));
        Assert.All(push.Files, file => Assert.True(file.Uploaded));
        Assert.Equal((last.Total, 300_000), (last.Done, last.Transferred));
    }

    [Fact]
    public void What_the_hub_has_is_not_sent_again()
    {
        Push();
        var writes = _writable.Writes.Length;
        var again = Push();
        Assert.True(again.WasComplete);
        Assert.Equal(_writable.Hub.Commit, again.Commit);
        Assert.Equal(writes, _writable.Writes.Length);
        Assert.Single(_writable.Commits);

        Assert.Equal(["config.json"], Push([HubContent.OfText("config.json", "{ }"), .. Files.Where(file => file.Name != "config.json")])
            .Files.Where(file => file.Uploaded).Select(file => file.Name));
        Assert.Equal(2, _writable.Commits.Count);
    }

    [Fact]
    public void Content_that_the_hub_has_elsewhere_is_only_named()
    {
        _writable.Large[FakeHub.HashOf(s_weights)] = s_weights;
        Push();
        Assert.Equal(s_weights, _writable.Hub.Files["model.safetensors"]);
        Assert.DoesNotContain(_writable.Writes, request => request.Method == "PUT");
    }

    [Fact]
    public void The_token_goes_to_the_hub_only()
    {
        // The store is on another address than the endpoint, as the hub's is.
        Push(settings: Settings with { Endpoint = _writable.Hub.Endpoint.Replace("127.0.0.1", "localhost", StringComparison.Ordinal) });
        Assert.All(_writable.Writes.Where(request => request.Method == "PUT"), request => Assert.Null(request["Authorization"]));
        Assert.All(_writable.Writes.Where(request => request.Path.Contains("/commit/", StringComparison.Ordinal)),
            request => Assert.Equal($"Bearer {WritableHub.Token}", request["Authorization"]));
    }

    [Theory]
    [InlineData("/store/", 500)]
    [InlineData("/store/", 403)]
    [InlineData("/verify", 503)]
    [InlineData("/preupload/", 503)]
    [InlineData("/commit/", 502)]
    [InlineData("/batch", 429)]
    [InlineData("/repos/create", 500)]
    public void A_fault_that_passes_is_tried_again(string path, int status)
    {
        Once(path, new Reply(status));
        Push();
        Assert.Equal(s_weights, _writable.Hub.Files["model.safetensors"]);
        Assert.Single(_notes);
    }

    [Theory]
    [InlineData("/commit/", 400, "invalid metadata", "invalid metadata in README.md")]
    [InlineData("/commit/", 412, "changed", "changed by somebody else")]
    [InlineData("/repos/create", 403, "not yours", "does not let this token write here: not yours")]
    [InlineData("/preupload/", 401, "", "does not accept the token")]
    public void A_refusal_is_one_line_with_the_words_of_the_hub(string path, int status, string words, string expected)
    {
        Once(path, WritableHub.Json(status, new { error = words == "invalid metadata" ? "invalid metadata in README.md" : words }));
        Assert.Contains(expected, Fault(), StringComparison.Ordinal);
        Assert.Empty(_writable.Commits);
    }

    [Theory]
    [InlineData("/preupload/", """{"files":[]}""", "says nothing about README.md")]
    [InlineData("/preupload/", "<html>", "is not valid JSON")]
    [InlineData("/preupload/", """{"files":[{"path":"README.md","uploadMode":"regular","shouldIgnore":true}]}""", ".gitignore")]
    [InlineData("/batch", """{"objects":[]}""", "says nothing about the file")]
    [InlineData("/batch", "OBJECT,\"error\":{\"code\":422,\"message\":\"too large\"}}]}", "does not take it: too large")]
    [InlineData("/batch", "OBJECT,\"actions\":{\"upload\":{\"href\":\"ftp://x\"}}}]}", "an address is expected")]
    [InlineData("/batch", "UPLOAD,\"header\":{\"chunk_size\":\"0\"}}}}]}", "a number of bytes")]
    [InlineData("/batch", "UPLOAD,\"header\":{\"chunk_size\":\"9\"}}}}]}", "no address for part 1")]
    [InlineData("/commit/", """{"success":true}""", "commitOid")]
    public void A_wrong_answer_is_one_line(string path, string body, string expected)
    {
        var hash = FakeHub.HashOf(s_weights);
        body = body.Replace("UPLOAD", "OBJECT,\"actions\":{\"upload\":{\"href\":\"http://x/\"", StringComparison.Ordinal);
        body = body.Replace("OBJECT", "{\"objects\":[{\"oid\":\"" + hash + "\",\"size\":300000", StringComparison.Ordinal);
        Once(path, new Reply(200, System.Text.Encoding.UTF8.GetBytes(body)));
        Assert.Contains(expected, Fault(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_hub_that_fails_again_and_again_is_given_up()
    {
        _writable.Misbehave = request => request.Path.Contains("/store/", StringComparison.Ordinal) ? new Reply(500) : null;
        Assert.Contains("could not be uploaded in 5 attempts", Fault(), StringComparison.Ordinal);
        Assert.Empty(_writable.Commits);
    }

    [Fact]
    public void An_interrupted_push_leaves_the_branch_and_goes_on()
    {
        using var cancel = new CancellationTokenSource();
        Assert.ThrowsAny<OperationCanceledException>(() => Push(cancel: cancel.Token, watch: progress =>
        {
            if (progress.Done > 0) cancel.Cancel();
        }));
        Assert.Empty(_writable.Commits);
        Push();
        Assert.Equal(s_weights, _writable.Hub.Files["model.safetensors"]);
    }

    [Fact]
    public void What_cannot_be_pushed_is_refused_before_anything_is_sent()
    {
        Assert.Contains("org/name", Fault(repo: "head"), StringComparison.Ordinal);
        Assert.Contains("HF_TOKEN", Fault(settings: Settings with { Token = null }), StringComparison.Ordinal);
        Assert.Contains("HF_HUB_OFFLINE", Fault(settings: Settings with { Offline = true }), StringComparison.Ordinal);
        Assert.Contains("given twice", Fault([.. Files, .. Files]), StringComparison.Ordinal);
        Assert.Contains("names no branch", Fault(options: new HubPushOptions { Revision = "../x" }), StringComparison.Ordinal);
        Assert.Contains("missing.bin", Fault([HubContent.OfFile("missing.bin", _folder.At("missing.bin"))]), StringComparison.Ordinal);
        Assert.Throws<KoalaException>(() => HubContent.OfText("../README.md", ""));
        Assert.Empty(_writable.Hub.Requests);
    }

    private HubSettings Settings => new(_folder.Path, _writable.Hub.Endpoint, WritableHub.Token, false);

    private HubPush Push(IReadOnlyList<HubContent>? files = null, string repo = "org/head", HubPushOptions? options = null,
        HubSettings? settings = null, Action<HubProgress>? watch = null, CancellationToken cancel = default)
    {
        var policy = new RetryPolicy { Idle = TimeSpan.FromSeconds(20), Wait = (_, token) => Task.Delay(1, token) };
        var watching = new Watch(progress =>
        {
            if (progress.Note is { } note) _notes.Add(note);
            watch?.Invoke(progress);
        });
        return HubUpload.PushAsync(files ?? Files, repo, options ?? new HubPushOptions(), settings ?? Settings, policy, watching, cancel)
            .GetAwaiter().GetResult();
    }

    private string Fault(IReadOnlyList<HubContent>? files = null, string repo = "org/head", HubPushOptions? options = null,
        HubSettings? settings = null)
    {
        var line = Assert.Throws<KoalaException>(() => Push(files, repo, options, settings)).Message;
        Assert.DoesNotContain('\n', line);
        return line;
    }

    private void Once(string path, Reply reply)
    {
        var done = false;
        _writable.Misbehave = request =>
        {
            if (done || request.Method == "GET" || !request.Path.Contains(path, StringComparison.Ordinal)) return null;
            done = true;
            return reply;
        };
    }

    private sealed class Watch(Action<HubProgress> report) : IProgress<HubProgress>
    {
        public void Report(HubProgress value) => report(value);
    }
}
