using Koala.Lab.Checkpoints.Hub;

namespace Koala.Lab.Tests.Checkpoints.Hub;

public sealed class HubDownloadTests : HubTestBase
{
    [Fact]
    public void A_target_is_stored_in_the_standard_layout()
    {
        var pull = Pull();
        AssertComplete();
        Assert.Equal(At("snapshots", Hub.Commit), pull.Path);
        Assert.Equal(("koala/nano", "main", Hub.Commit, "koala/nano"), (pull.Repo, pull.Revision, pull.Commit, pull.Target));
        Assert.Equal(Hub.Commit, File.ReadAllText(At("refs", "main")));
        // git's own hash of a file with the text hello.
        Assert.Equal("../../blobs/ce013625030ba8dba906f756967f9e9ca394464a",
            new FileInfo(At("snapshots", Hub.Commit, "config.json")).LinkTarget);
        Assert.Equal($"../../blobs/{FakeHub.HashOf(Hub.Files["model.safetensors"])}",
            new FileInfo(At("snapshots", Hub.Commit, "model.safetensors")).LinkTarget);
        Assert.Equal(["config.json", "model.safetensors", "tokenizer.json"],
            Directory.GetFiles(pull.Path).Select(path => Path.GetFileName(path)).Order());
        Assert.All(pull.Files, file => Assert.True(file.Downloaded));
    }

    [Fact]
    public void Files_in_the_cache_are_not_downloaded_again()
    {
        Assert.False(Pull().WasComplete);
        var before = Hub.FileRequests.Length;
        var again = Pull();
        Assert.True(again.WasComplete);
        Assert.Equal(before, Hub.FileRequests.Length);
    }

    [Fact]
    public void A_blob_of_the_wrong_length_is_downloaded_again()
    {
        Pull();
        File.WriteAllText(Blob("model.safetensors"), "short");
        Assert.Equal(["model.safetensors"], Pull().Files.Where(file => file.Downloaded).Select(file => file.Name));
        AssertComplete();
    }

    [Fact]
    public void A_newer_commit_shares_unchanged_files()
    {
        Pull();
        var old = Hub.Commit;
        Hub.Commit = new string('b', 40);
        Hub.Files["config.json"] = "other"u8.ToArray();
        Assert.Equal(["config.json"], Pull().Files.Where(file => file.Downloaded).Select(file => file.Name));
        AssertComplete();
        Assert.Equal(Hub.Commit, File.ReadAllText(At("refs", "main")));
        Assert.Equal("hello\n", File.ReadAllText(At("snapshots", old, "config.json")));
    }

    [Fact]
    public void A_newer_commit_that_fails_leaves_the_ref_unchanged()
    {
        Pull();
        var old = Hub.Commit;
        Hub.Commit = new string('b', 40);
        Hub.Files["model.safetensors"] = Bytes(5000, 9);
        Hub.Misbehave = request => request.IsFor("model.safetensors") ? new Reply(200, Bytes(5000, 10)) : null;
        Assert.Contains("hash", Fault());
        Assert.Equal(old, File.ReadAllText(At("refs", "main")));
    }

    [Fact]
    public void A_commit_is_pulled_without_a_ref()
    {
        using var hub = new FakeHub { Revision = new string('a', 40) };
        foreach (var (name, content) in Hub.Files) hub.Files[name] = content;
        Pull(revision: hub.Commit, settings: Settings with { Endpoint = hub.Endpoint });
        AssertComplete();
        Assert.False(Directory.Exists(At("refs")));
    }

    [Fact]
    public void One_file_is_downloaded_by_itself()
    {
        Hub.Files["sub dir/a#b.gguf"] = Bytes(2000, 5);
        var pull = Pull("sub dir/a#b.gguf");
        Assert.Equal(At("snapshots", Hub.Commit, "sub dir", "a#b.gguf"), pull.Path);
        Assert.Equal("koala/nano/sub dir/a#b.gguf", pull.Target);
        Assert.Equal(Hub.Files["sub dir/a#b.gguf"], File.ReadAllBytes(pull.Path));
        Assert.Equal("../../../blobs", Path.GetDirectoryName(new FileInfo(pull.Path).LinkTarget));
        Assert.Single(Hub.FileRequests);
    }

    [Fact]
    public void Shards_are_downloaded_with_their_index_and_without_other_copies()
    {
        Hub.Files.Remove("model.safetensors");
        foreach (var name in new[] { "model.safetensors.index.json", "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors", "consolidated.safetensors", "onnx/model.safetensors", "model.gguf" })
            Hub.Files[name] = Bytes(1500, name.Length);
        Assert.Equal(["config.json", "tokenizer.json", "model.safetensors.index.json",
            "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
            Pull().Files.Select(file => file.Name));
    }

    [Fact]
    public void Weights_of_PyTorch_are_taken_where_there_are_no_others_and_Medusas_heads_after_them()
    {
        Hub.Files.Remove("model.safetensors");
        Hub.Files["medusa_lm_head.pt"] = Bytes(100, 1);
        Assert.Contains("pytorch_model.bin", Pull().Files.Select(file => file.Name), StringComparer.Ordinal);
        Hub.Files.Remove("pytorch_model.bin");
        Assert.Contains("medusa_lm_head.pt", Pull().Files.Select(file => file.Name), StringComparer.Ordinal);
    }

    [Fact]
    public void A_repository_of_gguf_files_is_refused_with_their_names()
    {
        Hub.Files.Clear();
        Hub.Files["a-q4.gguf"] = Bytes(2000, 5);
        Hub.Files["a-q8.gguf"] = Bytes(2000, 6);
        var line = Fault();
        Assert.Contains("a-q4.gguf, a-q8.gguf", line);
        Assert.Contains("koala pull koala/nano a-q4.gguf", line);
        Assert.Equal(Hub.Files["a-q8.gguf"], File.ReadAllBytes(Pull("a-q8.gguf").Path));
    }

    [Fact]
    public void A_repository_that_is_no_target_is_refused()
    {
        Hub.Files.Remove("config.json");
        Assert.Contains("config.json", Fault());
        Hub.Files.Remove("model.safetensors");
        Hub.Files.Remove("pytorch_model.bin");
        Assert.Contains("no weights that Koala reads; it contains tokenizer.json, README.md", Fault());
        Assert.Contains("koala/nano/none.gguf: is not in the repository", Fault("none.gguf"));
        Assert.Empty(Hub.FileRequests);
    }

    [Fact]
    public void Offline_sends_no_request()
    {
        Assert.Contains("HF_HUB_OFFLINE", Fault(settings: Settings with { Offline = true }));
        Assert.Empty(Hub.Requests);
    }

    [Theory]
    [InlineData("nano", "main", null)]
    [InlineData("a/b/c", "main", null)]
    [InlineData("../nano", "main", null)]
    [InlineData("koala/..", "main", null)]
    [InlineData("koala/na--no", "main", null)]
    [InlineData("https://huggingface.co/koala/nano", "main", null)]
    [InlineData("koala/nano", "../main", null)]
    [InlineData("koala/nano", "", null)]
    [InlineData("koala/nano", "main", "../config.json")]
    [InlineData("koala/nano", "main", "/config.json")]
    public void An_invalid_name_is_refused_without_a_request(string repo, string revision, string? file)
    {
        Fault(file, repo, revision);
        Assert.Empty(Hub.Requests);
    }

    [Theory]
    [InlineData("../x")]
    [InlineData("a/../../x")]
    [InlineData("/etc/x")]
    [InlineData("..\\x")]
    [InlineData("C:x")]
    [InlineData("a//x")]
    [InlineData("./x")]
    [InlineData("a\nx")]
    [InlineData("")]
    public void A_listed_name_outside_the_folder_is_refused(string name)
    {
        Hub.Misbehave = request =>
            request.Path.StartsWith("/api/", StringComparison.Ordinal) ? new Reply(200, Hub.Listing(name)) : null;
        Assert.Contains("outside its folder", Fault());
        Assert.Empty(Hub.FileRequests);
        Assert.Empty(Directory.GetFileSystemEntries(CacheFolder));
    }

    [Theory]
    [InlineData("""{"siblings":[]}""", "commit")]
    [InlineData("""{"sha":"../../../x","siblings":[]}""", "commit")]
    [InlineData("""{"sha":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}""", "siblings")]
    [InlineData("""{"sha":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","siblings":[7]}""", "rfilename")]
    [InlineData("""{"sha":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","siblings":[{"rfilename":"a","size":1,"blobId":"../x"}]}""",
        "blobId")]
    [InlineData("""{"sha":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","siblings":[{"rfilename":"a","size":1""" +
        ""","blobId":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","lfs":{}}]}""",
        "lfs.sha256")]
    [InlineData("""{"sha":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","siblings":[{"rfilename":"a","size":-1""" +
        ""","blobId":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}]}""",
        "size")]
    [InlineData("""{"sha":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","siblings":[{"rfil""", "not valid JSON")]
    [InlineData("<html>", "not valid JSON")]
    public void An_invalid_listing_is_one_error(string listing, string word)
    {
        Hub.Misbehave = _ => new Reply(200, System.Text.Encoding.UTF8.GetBytes(listing));
        Assert.Contains(word, Fault());
    }

    [Fact]
    public void A_cache_that_cannot_be_written_is_one_error()
    {
        File.WriteAllText(At(), "a file where a folder is expected");
        Assert.Contains("HF_HUB_CACHE", Fault());
    }

    [Fact]
    public void Where_links_cannot_be_created_the_snapshot_holds_the_file_itself()
    {
        var cache = new HubCache(CacheFolder, (_, _) => throw new IOException("no links here"));
        Pull(cache: cache);
        AssertComplete();
        Assert.Null(new FileInfo(At("snapshots", Hub.Commit, "model.safetensors")).LinkTarget);
        Assert.Empty(Directory.GetFiles(At("blobs")));
        Assert.True(Pull(cache: cache).WasComplete);
    }

    [Fact]
    public async Task Two_pulls_of_the_same_file_download_it_once()
    {
        Once("model.safetensors", _ => new Reply(200, Hub.Files["model.safetensors"]) { CutAfter = 100_000, Hangs = true });
        var first = PullAsync();
        while (!Hub.FileRequests.Any(request => request.IsFor("model.safetensors"))) await Task.Delay(5);
        var second = PullAsync();
        while (!Notes.Any(note =>
            note.Contains("another process is downloading model.safetensors", StringComparison.Ordinal)))
            await Task.Delay(5);
        Hub.Release();
        await Task.WhenAll(first, second);
        Assert.Single(Hub.FileRequests, request => request.IsFor("model.safetensors"));
        Assert.True((await second).WasComplete);
        AssertComplete();
    }

    [Fact]
    public void Progress_reaches_the_total_size()
    {
        var seen = new List<HubProgress>();
        Pull(watch: seen.Add);
        Assert.Equal(seen.Select(progress => progress.Done).Order(), seen.Select(progress => progress.Done));
        Assert.Equal((3, 3, 503_006, 503_006), (seen[^1].Index, seen[^1].Files, seen[^1].Done, seen[^1].Total));
    }
}
