using Koala.Lab.Checkpoints.Hub;

namespace Koala.Lab.Tests.Checkpoints.Hub;

/// <summary>A hub or a network that misbehaves.</summary>
public sealed class HubNetworkTests : HubTestBase
{
    private byte[] Weights => Hub.Files["model.safetensors"];

    private Request[] WeightRequests => [.. Hub.FileRequests.Where(request => request.IsFor("model.safetensors"))];

    [Fact]
    public void An_interrupted_download_resumes_where_it_stopped()
    {
        Once("model.safetensors", request => Hub.Behave(request) with { CutAfter = 200_000 });
        Pull();
        AssertComplete();
        Assert.Equal([null, 200_000], WeightRequests.Select(request => request.From));
        Assert.Equal($"\"{FakeHub.HashOf(Weights)}\"", WeightRequests[1]["If-Range"]);
        Assert.Equal([TimeSpan.FromSeconds(1)], Waits);
    }

    [Fact]
    public void A_stalled_connection_is_abandoned()
    {
        Once("model.safetensors", request => Hub.Behave(request) with { CutAfter = 200_000, Hangs = true });
        Pull(policy: Patience with { Idle = TimeSpan.FromSeconds(1) });
        AssertComplete();
        Assert.Equal([null, 200_000], WeightRequests.Select(request => request.From));
        Assert.Contains("stalled", Notes.Single());
    }

    [Fact]
    public void A_partial_file_of_an_interrupted_pull_is_used()
    {
        Once("model.safetensors", request => Hub.Behave(request) with { CutAfter = 200_000, Hangs = true });
        using var cancel = new CancellationTokenSource();
        Assert.ThrowsAny<OperationCanceledException>(() => Pull(cancel: cancel.Token, watch: progress =>
        {
            if (progress.Done == 3006 + 200_000) cancel.Cancel();
        }));
        Assert.Equal(200_000, new FileInfo($"{Blob("model.safetensors")}.incomplete").Length);
        Assert.False(File.Exists(At("refs", "main")));

        HubProgress? last = null;
        Pull(watch: progress => last = progress);
        AssertComplete();
        Assert.Equal([null, 200_000], WeightRequests.Select(request => request.From));
        Assert.Equal((503_006, 300_000), (last!.Done, last.Transferred));
    }

    [Fact]
    public void A_complete_partial_file_needs_no_request()
    {
        Directory.CreateDirectory(At("blobs"));
        File.WriteAllBytes($"{Blob("model.safetensors")}.incomplete", Weights);
        Pull();
        AssertComplete();
        Assert.Empty(WeightRequests);
    }

    [Theory]
    [InlineData(200_000)]
    [InlineData(500_000)]
    [InlineData(600_000)]
    public void A_remainder_of_another_file_is_discarded(int length)
    {
        Directory.CreateDirectory(At("blobs"));
        File.WriteAllBytes($"{Blob("model.safetensors")}.incomplete", new byte[length]);
        Pull();
        AssertComplete();
    }

    [Fact]
    public void A_server_without_ranges_sends_all_of_it_again()
    {
        var first = true;
        Hub.Misbehave = request =>
        {
            if (!request.IsFor("model.safetensors")) return null;
            var reply = new Reply(200, Weights) { CutAfter = first ? 200_000 : null };
            first = false;
            return reply;
        };
        Pull();
        AssertComplete();
        Assert.Equal(2, WeightRequests.Length);
    }

    [Fact]
    public void A_server_without_ranges_that_always_cuts_is_given_up()
    {
        Hub.Misbehave = request => request.IsFor("model.safetensors") ? new Reply(200, Weights) { CutAfter = 200_000 } : null;
        Assert.Contains("could not be downloaded", Fault());
        Assert.InRange(WeightRequests.Length, 5, 6);
    }

    [Fact]
    public void Another_page_in_place_of_the_file_keeps_the_part_that_is_downloaded()
    {
        Directory.CreateDirectory(At("blobs"));
        File.WriteAllBytes($"{Blob("model.safetensors")}.incomplete", Weights[..200_000]);
        Once("model.safetensors", _ => new Reply(200, "<html>Please log in</html>"u8.ToArray()));
        Assert.Contains("is sent with 26 bytes, but the hub lists 500000", Fault());
        Pull();
        AssertComplete();
        Assert.Equal([200_000, 200_000], WeightRequests.Select(request => request.From));
    }

    [Theory]
    [InlineData("bytes 7-499999/500000")]
    [InlineData("bytes 200000-499998/499999")]
    [InlineData("nonsense")]
    public void A_range_other_than_requested_restarts_the_download(string range)
    {
        var count = 0;
        Hub.Misbehave = request => !request.IsFor("model.safetensors") ? null : count++ switch
        {
            0 => Hub.Behave(request) with { CutAfter = 200_000 },
            1 => new Reply(206, Weights[200_000..]) { Headers = { ["Content-Range"] = range } },
            _ => null,
        };
        Pull();
        AssertComplete();
        Assert.Equal([null, 200_000, null], WeightRequests.Select(request => request.From));
    }

    [Fact]
    public void A_range_that_the_server_does_not_have_restarts_the_download()
    {
        var count = 0;
        Hub.Misbehave = request => !request.IsFor("model.safetensors") ? null : count++ switch
        {
            0 => Hub.Behave(request) with { CutAfter = 200_000 },
            1 => new Reply(416),
            _ => null,
        };
        Pull();
        AssertComplete();
    }

    [Fact]
    public void Another_etag_between_attempts_restarts_the_download()
    {
        var count = 0;
        Hub.Misbehave = request => !request.IsFor("model.safetensors") ? null : count++ switch
        {
            0 => FakeHub.Part(Bytes(500_000, 77), request, "\"old\"") with { CutAfter = 200_000 },
            _ => FakeHub.Part(Weights, request, "\"new\""),
        };
        Pull();
        AssertComplete();
        Assert.Equal([null, 200_000, null], WeightRequests.Select(request => request.From));
    }

    [Fact]
    public void Other_content_between_attempts_without_an_etag_restarts_the_download()
    {
        var count = 0;
        Hub.Misbehave = request =>
        {
            if (!request.IsFor("model.safetensors")) return null;
            var content = count == 0 ? Bytes(500_000, 77) : Weights;
            var reply = FakeHub.Part(content, request, "\"x\"") with { CutAfter = count++ == 0 ? 200_000 : null };
            reply.Headers.Remove("ETag");
            return reply;
        };
        Pull();
        AssertComplete();
        Assert.Equal([null, 200_000, null], WeightRequests.Select(request => request.From));
    }

    [Fact]
    public void A_wrong_hash_leaves_no_file()
    {
        Hub.Misbehave = request => request.IsFor("model.safetensors") ? new Reply(200, Bytes(500_000, 77)) : null;
        var line = Fault();
        Assert.Contains(FakeHub.HashOf(Bytes(500_000, 77)), line);
        Assert.Contains(FakeHub.HashOf(Weights), line);
        Assert.False(File.Exists(Blob("model.safetensors")));
        Assert.False(File.Exists($"{Blob("model.safetensors")}.incomplete"));
        Assert.False(File.Exists(At("snapshots", Hub.Commit, "model.safetensors")));
        Assert.False(Directory.Exists(At("refs")));
        Assert.Single(WeightRequests);
    }

    [Fact]
    public void A_wrong_hash_of_a_small_file_is_found_too()
    {
        Hub.Misbehave = request => request.IsFor("config.json") ? new Reply(200, "hellO\n"u8.ToArray()) : null;
        Assert.Contains("ce013625030ba8dba906f756967f9e9ca394464a", Fault());
    }

    [Theory]
    [InlineData(499_999, 499_999, "499999 bytes")]
    [InlineData(500_001, 500_001, "500001 bytes")]
    [InlineData(500_001, -1, "more than the 500000 bytes")]
    [InlineData(499_999, -1, "ended after 499999 of 500000 bytes")]
    public void A_wrong_length_is_one_error(int length, int announced, string words)
    {
        Hub.Misbehave = request =>
            request.IsFor("model.safetensors") ? new Reply(200, Bytes(length, 2)) { Announced = announced } : null;
        Assert.Contains(words, Fault());
        Assert.False(File.Exists(Blob("model.safetensors")));
    }

    [Fact]
    public void A_truncated_listing_is_requested_again()
    {
        var count = 0;
        Hub.Misbehave = request => count++ == 0 ? Hub.Behave(request) with { CutAfter = 50 } : null;
        Pull();
        AssertComplete();
    }

    [Fact]
    public void Redirects_on_the_same_host_keep_the_token()
    {
        Hub.Misbehave = request =>
            request.Path.StartsWith("/moved", StringComparison.Ordinal)
                ? Hub.Behave(request with { Path = request.Path["/moved".Length..] })
                : new Reply(307) { Headers = { ["Location"] = "/moved" + request.Path } };
        Pull(settings: Settings with { Token = "hf_secret" });
        AssertComplete();
        Assert.All(Hub.Requests, request => Assert.Equal("Bearer hf_secret", request["Authorization"]));
    }

    [Fact]
    public void The_token_does_not_follow_to_another_host()
    {
        using var other = new FakeHub();
        foreach (var (name, content) in Hub.Files) other.Files[name] = content;
        var cut = true;
        other.Misbehave = request =>
        {
            var reply = other.Behave(request) with { CutAfter = cut && request.IsFor("model.safetensors") ? 200_000 : null };
            cut &= !request.IsFor("model.safetensors");
            return reply;
        };
        Hub.Misbehave = request => request.Path.StartsWith("/api/", StringComparison.Ordinal)
            ? null
            : new Reply(302) { Headers = { ["Location"] = other.Endpoint + request.Path } };
        Pull(settings: Settings with { Token = "hf_secret" });
        AssertComplete();
        Assert.Equal(4, other.Requests.Count);
        Assert.All(other.Requests, request => Assert.Null(request["Authorization"]));
        Assert.All(Hub.Requests, request => Assert.Equal("Bearer hf_secret", request["Authorization"]));
        Assert.Equal("bytes=200000-", other.Requests.Last()["Range"]);
    }

    [Fact]
    public void An_expired_signed_address_is_requested_again()
    {
        using var other = new FakeHub();
        foreach (var (name, content) in Hub.Files) other.Files[name] = content;
        var count = 0;
        other.Misbehave = _ => count++ == 0 ? new Reply(403) : null;
        Hub.Misbehave = request => request.Path.StartsWith("/api/", StringComparison.Ordinal)
            ? null
            : new Reply(302) { Headers = { ["Location"] = other.Endpoint + request.Path } };
        Pull();
        AssertComplete();
    }

    [Theory]
    [InlineData("/again", "redirected more than")]
    [InlineData("file:///etc/passwd", "redirected by")]
    [InlineData(null, "redirected by")]
    public void Redirects_to_nowhere_are_one_error(string? location, string words)
    {
        Hub.Misbehave = _ => location is null ? new Reply(302) : new Reply(302) { Headers = { ["Location"] = location } };
        Assert.Contains(words, Fault());
        Assert.InRange(Hub.Requests.Count, 1, 11);
    }

    [Theory]
    [InlineData(401, "", null, "private")]
    [InlineData(401, "RepoNotFound", null, "private")]
    [InlineData(401, "", "hf_x", "does not accept the token")]
    [InlineData(401, "GatedRepo", null, "is gated, and no token is set")]
    [InlineData(403, "GatedRepo", "hf_x", "this token has no access")]
    [InlineData(403, "", "hf_x", "refuses access")]
    [InlineData(404, "RepoNotFound", null, "does not exist")]
    [InlineData(404, "RevisionNotFound", null, "has no revision main")]
    [InlineData(404, "EntryNotFound", null, "has no file config.json at revision main")]
    [InlineData(400, "", null, "answers 400 BadRequest")]
    public void Refusals_of_a_file_are_one_error(int status, string code, string? token, string words)
    {
        Hub.Misbehave = request =>
            request.IsFor("config.json") ? new Reply(status) { Headers = { ["X-Error-Code"] = code } } : null;
        var line = Fault(settings: Settings with { Token = token });
        Assert.Contains(words, line);
        Assert.DoesNotContain("hf_x", line);
        Assert.Single(Hub.FileRequests);
    }

    [Fact]
    public void A_model_missing_from_the_hub_is_one_error()
    {
        Assert.Contains("koala/micro: does not exist on http://127.0.0.1", Fault(repo: "koala/micro"));
        Assert.Contains("has no revision v9", Fault(revision: "v9"));
        Hub.Misbehave = request => request.Path.StartsWith("/api/", StringComparison.Ordinal)
            ? new Reply(403) { Headers = { ["X-Error-Code"] = "GatedRepo" } }
            : null;
        Assert.Contains($"ask for access at {Hub.Endpoint}/koala/nano", Fault());
    }

    [Fact]
    public void Faults_of_the_server_are_waited_out_with_growing_pauses()
    {
        var faults = new Queue<int>([500, 502, 503, 504]);
        Hub.Misbehave = request =>
            request.IsFor("model.safetensors") && faults.TryDequeue(out var status) ? new Reply(status) : null;
        Pull();
        AssertComplete();
        Assert.Equal([1, 2, 4, 8], Waits.Select(span => span.TotalSeconds));
    }

    [Fact]
    public void A_server_that_stays_faulty_is_given_up()
    {
        Hub.Misbehave = request => request.IsFor("config.json") ? new Reply(503) : null;
        Assert.Contains("koala/nano/config.json: could not be downloaded in 5 attempts; in the last one 127.0.0.1 " +
            "answers 503",
            Fault());
        Assert.Equal(5, Hub.FileRequests.Length);
    }

    [Fact]
    public void Retry_after_is_honoured()
    {
        var count = 0;
        Hub.Misbehave = request =>
            request.Path.StartsWith("/api/", StringComparison.Ordinal) && count++ == 0
                ? new Reply(429) { Headers = { ["Retry-After"] = "77" } }
                : null;
        Pull();
        Assert.Equal([77], Waits.Select(span => span.TotalSeconds));
        Assert.Contains("429", Notes.Single());
    }

    [Fact]
    public void A_very_long_pause_is_one_error_without_waiting()
    {
        Hub.Misbehave = _ => new Reply(429) { Headers = { ["Retry-After"] = "3600" } };
        Assert.Contains("asks to wait 3600 seconds", Fault());
        Assert.Empty(Waits);
    }

    [Fact]
    public void An_unreachable_hub_is_one_error()
    {
        string endpoint;
        using (var gone = new FakeHub()) endpoint = gone.Endpoint;
        Assert.Contains("the connection failed", Fault(settings: Settings with { Endpoint = endpoint }));
    }

    [Fact]
    public void Without_a_token_no_header_is_sent()
    {
        Pull();
        Assert.All(Hub.Requests, request => Assert.Null(request["Authorization"]));
    }
}
