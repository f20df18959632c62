using Koala.Lab.Tests.Checkpoints.Hub;

namespace Koala.Lab.Tests.Cli;

public sealed class PullTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly FakeHub _hub = new();
    private readonly EnvironmentScope _environment;

    public PullTests()
    {
        foreach (var path in Directory.GetFiles(ShippedModels.Folder("koala-nano")))
            _hub.Files[Path.GetFileName(path)] = File.ReadAllBytes(path);
        _environment = new EnvironmentScope(("HF_HOME", _folder.Path), ("HF_ENDPOINT", _hub.Endpoint));
    }

    private string Snapshot => _folder.At("hub", "models--koala--nano", "snapshots", _hub.Commit);

    public void Dispose()
    {
        _environment.Dispose();
        _hub.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void A_pulled_target_answers_by_its_name()
    {
        var run = CommandRun.Of("pull", "koala/nano").AssertDone();
        Assert.Equal([Snapshot], run.Lines);
        Assert.Contains("model.safetensors", run.Error, StringComparison.Ordinal);
        Assert.EndsWith("use it with: --target koala/nano\n", run.Error, StringComparison.Ordinal);
        Assert.NotEqual("",
            CommandRun.Of("generate", "--target", "koala/nano", "--prompt", "Hello", "--max-tokens", "4")
                .AssertDone().Output);
        Assert.Equal("koala/nano",
            CommandRun.Of("inspect", "koala/nano", "--json").AssertDone().Json.GetProperty("name").GetString());
        CommandRun.Of("tokenize", "koala/nano", "--text", "a").AssertDone();
    }

    [Fact]
    public void A_run_records_the_commit_and_the_name()
    {
        CommandRun.Of("pull", "koala/nano", "--quiet").AssertDone();
        var chats = _folder.At("chats.jsonl");
        File.WriteAllLines(chats,
            Enumerable.Range(0, 60)
                .Select(i =>
                    $$"""{"messages":[{"role":"user","content":"Say {{i}}."},""" +
                    $$"""{"role":"assistant","content":"Here is {{i}}, and then some more words."}]}"""));
        CommandRun.Of("train", "--target", "koala/nano", "--data", chats, "--steps", "1", "--batch", "1",
            "--row-length", "64", "--out", _folder.At("run"), "--quiet")
            .AssertDone();
        var record = CommandRun.Of("inspect", _folder.At("run"), "--json").AssertDone().Output;
        Assert.Contains($"\"target\": \"{Snapshot}\"", record, StringComparison.Ordinal);
        Assert.Contains("\"name\": \"koala/nano\"", record, StringComparison.Ordinal);
    }

    [Fact]
    public void Json_is_one_document_and_the_second_time_nothing_is_downloaded()
    {
        var json = CommandRun.Of("pull", "koala/nano", "--json").AssertDone().Json;
        Assert.Equal(("koala/nano", "main", _hub.Commit, Snapshot),
            (json.GetProperty("repo").GetString(), json.GetProperty("revision").GetString(),
                json.GetProperty("commit").GetString(), json.GetProperty("path").GetString()));
        Assert.All(json.GetProperty("files").EnumerateArray(),
            file => Assert.True(file.GetProperty("downloaded").GetBoolean()));
        var weights = json.GetProperty("files")
            .EnumerateArray()
            .Single(file => file.GetProperty("name").GetString() == "model.safetensors");
        Assert.Equal(_hub.Files["model.safetensors"].Length, weights.GetProperty("size").GetInt64());
        Assert.Equal(FakeHub.HashOf(_hub.Files["model.safetensors"]), weights.GetProperty("hash").GetString());

        var again = CommandRun.Of("pull", "koala/nano", "--json").AssertDone();
        Assert.All(again.Json.GetProperty("files").EnumerateArray(),
            file => Assert.False(file.GetProperty("downloaded").GetBoolean()));
        Assert.Contains("nothing downloaded", again.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Quiet_prints_only_the_path()
    {
        _hub.Files["a.gguf"] = new byte[2000];
        var run = CommandRun.Of("pull", "koala/nano", "a.gguf", "--quiet").AssertDone();
        Assert.Equal([Path.Combine(Snapshot, "a.gguf")], run.Lines);
        Assert.Equal("", run.Error);
        Assert.Contains("--target koala/nano/a.gguf", CommandRun.Of("pull", "koala/nano", "a.gguf").AssertDone().Error,
            StringComparison.Ordinal);
    }

    [Fact]
    public void An_interrupted_run_continues_with_the_same_command()
    {
        var weights = _hub.Files["model.safetensors"];
        _hub.Misbehave = request =>
            request.IsFor("model.safetensors") && request.From is null
                ? _hub.Behave(request) with { CutAfter = weights.Length / 2, Hangs = true }
                : null;
        var run = CommandRun.Interrupted("model.safetensors", "pull", "koala/nano", "--revision", "main");
        Assert.Equal(130, run.ExitCode);
        Assert.Equal("", run.Output);
        Assert.EndsWith("Go on with: koala pull koala/nano --revision main\n", run.Error, StringComparison.Ordinal);
        Assert.Single(Directory.GetFiles(_folder.At("hub", "models--koala--nano", "blobs"), "*.incomplete"));

        CommandRun.Of("pull", "koala/nano", "--revision", "main").AssertDone();
        Assert.Equal(weights, File.ReadAllBytes(Path.Combine(Snapshot, "model.safetensors")));
        Assert.True(_hub.FileRequests[^1].From > 0);
    }

    [Fact]
    public void Wrong_input_is_one_line()
    {
        CommandRun.Of("pull", "nano").AssertRefused("org/name");
        CommandRun.Of("pull", "koala/micro").AssertRefused("koala/micro", "does not exist");
        CommandRun.Of("pull", "koala/nano", "none.gguf").AssertRefused("none.gguf", "is not in the repository");
        CommandRun.Of("pull", "koala/nano", "--revison", "x").AssertRefused("--revision");
        CommandRun.Of("pull").AssertRefused("REPO is missing");
        CommandRun.Of("generate", "--target", "koala/micro", "--prompt", "a").AssertRefused("koala pull koala/micro");
        Environment.SetEnvironmentVariable("HF_HUB_OFFLINE", "1");
        CommandRun.Of("pull", "koala/nano").AssertRefused("HF_HUB_OFFLINE");
    }
}
