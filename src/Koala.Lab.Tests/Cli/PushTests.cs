using Koala.Lab.Tests.Checkpoints.Hub;

namespace Koala.Lab.Tests.Cli;

/// <summary>The command <c>koala push</c>: a head goes to a hub with its card, comes back by <c>pull</c>, and drafts by its name.</summary>
public sealed class PushTests : IDisposable
{
    private static readonly string s_head = ShippedModels.Folder("koala-nano-eagle-k1");
    private readonly TemporaryFolder _folder = new();
    private readonly WritableHub _writable = new();
    private readonly EnvironmentScope _environment;

    public PushTests() => _environment = new EnvironmentScope(
        ("HF_HOME", _folder.Path), ("HF_ENDPOINT", _writable.Hub.Endpoint), ("HF_TOKEN", WritableHub.Token));

    public void Dispose()
    {
        _environment.Dispose();
        _writable.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void A_pushed_head_drafts_by_its_name()
    {
        var push = CommandRun.Of("push", s_head, "org/head", "--base-model", "org/nano", "--licence", "apache-2.0",
            "--datasets", "org/chats, org/more", "--private", "--message", "A first head").AssertDone();
        Assert.Equal([$"{_writable.Hub.Endpoint}/org/head/tree/main"], push.Lines);
        Assert.Equal((true, "A first head"), (_writable.IsPrivate, _writable.Commits.Single()));
        var card = System.Text.Encoding.UTF8.GetString(_writable.Hub.Files["README.md"]);
        Assert.StartsWith("""
            ---
            library_name: koala
            pipeline_tag: text-generation
            base_model: "org/nano"
            license: "apache-2.0"
            datasets:
            - "org/chats"
            - "org/more"
            tags:
            - speculative-decoding
            - draft-model
            - "eagle"
            ---

            # Draft head for koala-nano: eagle, K = 1
            """, card, StringComparison.Ordinal);
        Assert.Contains("--target org/nano --head org/head", card, StringComparison.Ordinal);
        Assert.DoesNotContain("card.md", _writable.Hub.Files.Keys);

        CommandRun.Of("pull", "org/head", "--quiet").AssertDone();
        int[] AcceptedWith(string head) =>
        [
            .. CommandRun.Of("generate", "--target", ShippedModels.Folder("koala-nano"), "--head", head, "--prompt", "Hello",
                    "--max-tokens", "8", "--draft-length", "2", "--json").AssertDone()
                .Json.GetProperty("rounds").EnumerateArray().Select(round => round.GetProperty("accepted").GetInt32()),
        ];
        Assert.Equal(AcceptedWith(s_head), AcceptedWith("org/head"));

        Assert.Contains("nothing uploaded", CommandRun.Of("push", s_head, "org/head", "--base-model", "org/nano", "--licence", "apache-2.0",
            "--datasets", "org/chats,org/more").AssertDone().Error, StringComparison.Ordinal);
    }

    [Fact]
    public void The_card_of_a_run_holds_its_newest_report()
    {
        var run = _folder.At("run");
        CommandRun.Of("train", "--target", ShippedModels.Folder("koala-nano"), "--data", TestFiles.At("data", "chats-validation.jsonl.gz"),
            "--steps", "1", "--batch", "1", "--row-length", "64", "--out", run, "--quiet",
            "--evaluate", TestFiles.At("data", "mt-bench.jsonl"), "--limit", "1").AssertDone();
        var shown = CommandRun.Of("push", run, "org/head", "--dry-run").AssertDone();
        Assert.Contains("## Measured", shown.Output, StringComparison.Ordinal);
        Assert.Contains("acceptance length", shown.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("base_model", shown.Output, StringComparison.Ordinal);
        Assert.Contains("would upload: README.md, config.json, model.safetensors", shown.Error, StringComparison.Ordinal);
        Assert.Empty(_writable.Hub.Requests);
    }

    [Fact]
    public void A_folder_with_a_card_of_its_own_goes_as_it_is()
    {
        File.WriteAllText(_folder.At("config.json"), "{}");
        File.WriteAllText(_folder.At("README.md"), "mine");
        CommandRun.Of("push", _folder.Path, "org/head", "--quiet").AssertDone();
        Assert.Equal("mine"u8.ToArray(), _writable.Hub.Files["README.md"]);
    }

    [Fact]
    public void What_is_no_head_is_refused()
    {
        CommandRun.Of("push", _folder.Path, "org/head").AssertRefused("holds no head", "name the folder of a head");
        CommandRun.Of("push", s_head, "org/head", "--base-model", "nano").AssertRefused("--base-model", "org/name");
        CommandRun.Of("push", s_head, "org/head", "--datasets", "chats").AssertRefused("--datasets", "org/name");
        CommandRun.Of("push", s_head, "org/head", "--licence", "my own").AssertRefused("--licence", "apache-2.0");
        CommandRun.Of("generate", "--target", ShippedModels.Folder("koala-nano"), "--prompt", "Hi", "--head", "org/other")
            .AssertRefused("org/other", "koala pull org/other");
    }
}
