using Koala.Lab.Checkpoints;
using Koala.Lab.Checkpoints.Hub;
using Koala.Lab.Targets;
using Koala.Lab.Tests.Checkpoints.Hub;
using Koala.Lab.Text.Tokenizers;

namespace Koala.Lab.Tests.Checkpoints;

public sealed class ModelLocationTests : IDisposable
{
    private const string Old = "1111111111111111111111111111111111111111";
    private const string New = "2222222222222222222222222222222222222222";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("HF_HOME", "hub")]
    [InlineData("HF_HUB_CACHE", "")]
    public void A_target_in_the_hubs_cache_loads_by_its_name(string variable, string below)
    {
        LayOutNano(_folder.At(below));
        using var environment = new EnvironmentScope((variable, _folder.Path), ("HF_HUB_OFFLINE", "1"));
        using var target = Target.Load("koala/nano");
        Assert.Equal("koala/nano", target.Name);
        Assert.Equal("koala/nano", target.Identity.Name);
        Assert.True(target.Identity.Matches(ShippedModels.Nano.Identity));
        Assert.Equal(ShippedModels.Nano.Tokenizer.Hash, Tokenizer.Load("koala/nano").Hash);
        // The path of the snapshot gives the same name, which a run records.
        using var again = Target.Load(target.Path);
        Assert.Equal("koala/nano", again.Name);
    }

    [Fact]
    public void Revisions_and_files_are_found_by_name()
    {
        var repo = LayOutNano(_folder.Path);
        Directory.CreateDirectory(Path.Combine(repo, "snapshots", New, "sub"));
        File.WriteAllText(Path.Combine(repo, "snapshots", New, "sub", "a.gguf"), "");
        Directory.CreateDirectory(Path.Combine(repo, "refs", "refs", "pr"));
        File.WriteAllText(Path.Combine(repo, "refs", "v2"), New + "\n");

        Assert.Equal(new ModelLocation(Path.Combine(repo, "snapshots", Old), "koala/nano"), Find("koala/nano"));
        Assert.Equal(new ModelLocation(Path.Combine(repo, "snapshots", New), "koala/nano"), Find("koala/nano@v2"));
        Assert.Equal(new ModelLocation(Path.Combine(repo, "snapshots", New), "koala/nano"), Find($"koala/nano@{New}"));
        Assert.Equal(new ModelLocation(Path.Combine(repo, "snapshots", New, "sub", "a.gguf"), "koala/nano/sub/a.gguf"),
            Find("koala/nano@v2/sub/a.gguf"));
    }

    [Fact]
    public void A_snapshot_of_single_files_is_no_target_by_itself()
    {
        var snapshot = Path.Combine(LayOutNano(_folder.Path), "snapshots", New);
        Directory.CreateDirectory(snapshot);
        File.WriteAllText(Path.Combine(snapshot, "b.gguf"), "");
        File.WriteAllText(Path.Combine(snapshot, "a.gguf"), "");
        var line = Assert.Throws<KoalaException>(() => Find($"koala/nano@{New}")).Message;
        Assert.Contains("a.gguf, b.gguf", line);
        Assert.Contains($"koala/nano@{New}/a.gguf", line);
    }

    [Theory]
    [InlineData("koala/micro", "koala pull koala/micro.")]
    [InlineData("koala/nano@v9", "koala pull koala/nano --revision v9.")]
    [InlineData("koala/nano/none.gguf", "koala pull koala/nano none.gguf.")]
    public void The_error_for_a_missing_model_says_how_to_get_it(string name, string fix)
    {
        LayOutNano(_folder.Path);
        var line = Assert.Throws<KoalaException>(() => Find(name)).Message;
        Assert.Contains("does not exist", line);
        Assert.EndsWith(fix, line);
    }

    [Theory]
    [InlineData("")]
    [InlineData("none")]
    [InlineData("/none/there")]
    [InlineData("../none/there")]
    [InlineData("koala/nano/../../x")]
    [InlineData("koala/nano@../../x")]
    public void What_is_no_name_is_a_path_that_is_not_there(string text)
    {
        LayOutNano(_folder.Path);
        Assert.EndsWith("does not exist. Fix: check the path.", Assert.Throws<KoalaException>(() => Find(text)).Message);
    }

    [Fact]
    public void A_path_needs_no_settings()
    {
        var location =
            ModelLocation.Find(ShippedModels.Folder("koala-nano") + "/", () => throw new InvalidOperationException());
        Assert.Equal("koala-nano", location.Name);
    }

    [Fact]
    public void A_damaged_ref_is_one_error()
    {
        var repo = LayOutNano(_folder.Path);
        File.WriteAllText(Path.Combine(repo, "refs", "main"), "../../../etc");
        Assert.Contains("commit of 40 hex digits", Assert.Throws<KoalaException>(() => Find("koala/nano")).Message);
    }

    private ModelLocation Find(string name) =>
        ModelLocation.Find(name, () => new HubSettings(_folder.Path, "http://127.0.0.1:1", null, true));

    // The layout of huggingface_hub: contents by hash, relative links by name.
    private static string LayOutNano(string cache)
    {
        var repo = Path.Combine(cache, "models--koala--nano");
        var snapshot = Path.Combine(repo, "snapshots", Old);
        foreach (var folder in new[] { "blobs", "refs", $"snapshots/{Old}" })
            Directory.CreateDirectory(Path.Combine(repo, folder));
        foreach (var path in Directory.GetFiles(ShippedModels.Folder("koala-nano")))
        {
            var hash = FakeHub.HashOf(File.ReadAllBytes(path));
            File.Copy(path, Path.Combine(repo, "blobs", hash));
            File.CreateSymbolicLink(Path.Combine(snapshot, Path.GetFileName(path)), $"../../blobs/{hash}");
        }
        File.WriteAllText(Path.Combine(repo, "refs", "main"), Old);
        return repo;
    }
}
