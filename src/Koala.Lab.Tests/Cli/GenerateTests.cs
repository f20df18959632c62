using System.Text.Json;
using TorchSharp;

namespace Koala.Lab.Tests.Cli;

public sealed class GenerateTests
{
    private static readonly string s_nano = ShippedModels.Folder("koala-nano");

    [Fact]
    public void A_prompt_is_answered_through_the_chat_template_as_the_recorded_answer()
    {
        var golden = Golden.Prompts("koala-nano")[0];
        var count = Math.Min(12, golden.Greedy.Length);
        var json = CommandRun.Of("generate", "--target", s_nano, "--prompt", golden.Chat, "--max-tokens", $"{count}",
            "--dtype", "fp32", "--json")
            .AssertDone().Json;
        Assert.Equal(golden.Ids, Ids(json, "promptTokens"));
        Assert.Equal(golden.Greedy[..count], Ids(json, "tokens"));
        Assert.Contains(json.GetProperty("finish").GetString(), (string[])["stop", "length"]);
        Assert.Equal(["finish", "promptTokens", "seconds", "text", "tokens"],
            json.EnumerateObject().Select(p => p.Name).Order());
    }

    [Fact]
    public void Text_is_streamed_and_equals_the_text_of_the_json()
    {
        string[] line = ["generate", "--target", s_nano, "--prompt", "-", "--raw", "--max-tokens", "8"];
        var text = CommandRun.WithInput("Once upon a time\n", line).AssertDone();
        var json = CommandRun.WithInput("Once upon a time\n", [.. line, "--json"]).AssertDone().Json;
        Assert.Equal(json.GetProperty("text").GetString() + "\n", text.Output);
        Assert.Equal(ShippedModels.Nano.Tokenizer.Encode("Once upon a time", addSpecialTokens: true),
            Ids(json, "promptTokens"));
        Assert.Equal("", text.Error);
    }

    [Fact]
    public void An_answer_that_is_cut_off_at_the_default_limit_says_so_and_names_the_option()
    {
        string[] line = ["generate", "--target", s_nano, "--prompt", "Tell me a long story.", "--raw"];
        var cut = CommandRun.Of(line).AssertDone();
        Assert.Equal("the answer was cut off after 256 tokens; --max-tokens sets the limit\n", cut.Error);
        Assert.Equal("", CommandRun.Of([.. line, "--quiet"]).AssertDone().Error);
        // Who sets the limit knows that it cuts.
        Assert.Equal("", CommandRun.Of([.. line, "--max-tokens", "4"]).AssertDone().Error);
    }

    [Fact]
    public void Prompts_of_a_file_are_answered_in_order_and_those_that_do_not_fit_are_counted()
    {
        using var folder = new TemporaryFolder();
        var file = folder.At("prompts.jsonl");
        File.WriteAllLines(file,
        [
            """{"prompt":"Name a colour."}""",
            JsonSerializer.Serialize(new { prompt = string.Concat(Enumerable.Repeat("word ", 3000)) }),
            """{"turns":["Say one.","Say two."]}""",
        ]);
        string[] line = ["generate", "--target", s_nano, "--prompts", file, "--max-tokens", "4", "--json"];
        var first = CommandRun.Of(line).AssertDone();
        Assert.Equal(2, first.Lines.Length);
        Assert.Contains("1 of 3 prompts skipped", first.Error, StringComparison.Ordinal);
        Assert.False(CommandRun.Parse(first.Lines[0]).TryGetProperty("turn", out _));

        var all = CommandRun.Of([.. line, "--turns", "all"]).AssertDone();
        Assert.Equal([1, 1, 2], all.Lines.Select(l => CommandRun.Parse(l).GetProperty("turn").GetInt32()));
        Assert.Equal(CommandRun.Parse(all.Lines[1]).GetProperty("id").GetString(),
            CommandRun.Parse(all.Lines[2]).GetProperty("id").GetString());
        Assert.Single(CommandRun.Of([.. line, "--limit", "1"]).AssertDone().Lines);
    }

    [Fact]
    public void A_single_prompt_that_does_not_fit_is_an_error() =>
        CommandRun.Of("generate", "--target", s_nano, "--prompt", string.Concat(Enumerable.Repeat("word ", 3000)))
            .AssertRefused("the prompt", "context");

    [Fact]
    public void Requesting_missing_cuda_is_an_error()
    {
        if (torch.cuda.is_available()) Assert.Skip("this machine has CUDA");
        CommandRun.Of("generate", "--target", s_nano, "--prompt", "a", "--device", "cuda").AssertRefused("--device cuda");
    }

    [Fact]
    public void Interrupted_it_says_so_and_exits_with_130()
    {
        using var folder = new TemporaryFolder();
        var cancelled = new CancellationToken(canceled: true);
        using var error = new StringWriter();
        Assert.Equal(130,
            Koala.Cli.KoalaCommand.Run(["generate", "--target", s_nano, "--prompt", "Name a colour.", "--quiet"],
                TextWriter.Null, error, cancel: cancelled));
        Assert.Equal("interrupted", error.ToString().Trim());
    }

    private static int[] Ids(JsonElement json, string name) =>
        [.. json.GetProperty(name).EnumerateArray().Select(id => id.GetInt32())];
}
