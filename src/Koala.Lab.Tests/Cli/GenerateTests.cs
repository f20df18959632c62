using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Spectre.Console;
using TorchSharp;

namespace Koala.Lab.Tests.Cli;

public sealed partial class GenerateTests
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
        Assert.Matches(@"^8 tokens, \d+ tokens/s; cut off at --max-tokens 8\n$", text.Error);
    }

    [Fact]
    public void The_last_line_says_how_many_tokens_how_fast_and_why_it_stopped()
    {
        string[] line = ["generate", "--target", s_nano, "--prompt", "Tell me a long story.", "--raw"];
        Assert.Matches(@"^256 tokens, \d+ tokens/s; cut off at --max-tokens 256\n$", CommandRun.Of(line).AssertDone().Error);
        Assert.Equal("", CommandRun.Of([.. line, "--quiet"]).AssertDone().Error);
        Assert.EndsWith("; cut off at the end of the context of 512 tokens\n",
            CommandRun.Of([.. line, "--max-tokens", "1000"]).AssertDone().Error, StringComparison.Ordinal);
        Assert.EndsWith("; ended at a text of --stop\n",
            CommandRun.Of([.. line, "--stop", " ", "--json"]).AssertDone().Error, StringComparison.Ordinal);
    }

    [Fact]
    public void With_a_head_the_last_line_has_the_mean_of_the_accepted_tokens()
    {
        var run = CommandRun.Of("generate", "--target", s_nano, "--head", ShippedModels.Folder("koala-nano-eagle-k1"), "--prompt", "Hello",
            "--draft-length", "2", "--max-tokens", "30", "--json").AssertDone();
        var rounds = run.Json.GetProperty("rounds").EnumerateArray().Select(round => round.GetProperty("accepted").GetInt32());
        Assert.Contains(string.Create(CultureInfo.InvariantCulture, $" tokens/s, {rounds.Average():F2} accepted per round; "), run.Error,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Several_answers_are_added_up_and_counted_by_their_ends()
    {
        using var folder = new TemporaryFolder();
        var file = folder.At("prompts.jsonl");
        File.WriteAllLines(file, ["""{"prompt":"Name a colour."}""", """{"prompt":"Name a town."}"""]);
        var run = CommandRun.Of("generate", "--target", s_nano, "--prompts", file, "--max-tokens", "2").AssertDone();
        Assert.Matches(@"^2 answers, 4 tokens, \d+ tokens/s; 2 cut off at --max-tokens 2\n$", run.Error);
    }

    /// <summary>Colours change nothing but the colours, and each accepted token has its own.</summary>
    [Fact]
    public void In_a_terminal_accepted_and_bonus_tokens_have_colours()
    {
        string[] line = ["generate", "--target", s_nano, "--head", ShippedModels.Folder("koala-nano-eagle-k1"), "--prompt", "Hello",
            "--draft-length", "2", "--max-tokens", "40"];
        var plain = CommandRun.Of(line).AssertDone();
        var coloured = CommandRun.InTerminal(80, ColorSystemSupport.TrueColor, [.. line, "--colour", "--quiet"]).AssertDone();
        Assert.Equal(plain.Output, Ansi().Replace(coloured.Output, ""));
        var rounds = CommandRun.Of([.. line, "--json"]).AssertDone().Json.GetProperty("rounds").EnumerateArray()
            .Select(round => round.GetProperty("accepted").GetInt32()).ToArray();
        // The limit may cut the last round; a token whose text is empty or only a line break has no colour.
        Assert.InRange(coloured.Output.Split("48;2;0;114;178m").Length - 1, 1, rounds.Sum());
        Assert.InRange(coloured.Output.Split("48;2;230;159;0m").Length - 1, 1, rounds.Length);
    }

    [Theory, InlineData(true), InlineData(false)]
    public void Without_colours_the_text_is_plain_and_one_line_says_why(bool terminal)
    {
        string[] line = ["generate", "--target", s_nano, "--prompt", "Hello", "--max-tokens", "8", "--colour"];
        var run = terminal ? CommandRun.InTerminal(80, ColorSystemSupport.NoColors, line) : CommandRun.Of(line);
        Assert.DoesNotContain('\e', run.AssertDone().Output);
        Assert.Contains("no colours: ", run.Error, StringComparison.Ordinal);
        Assert.Contains("NO_COLOR", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Colours_of_json_are_refused() =>
        CommandRun.Of("generate", "--target", s_nano, "--prompt", "Hello", "--colour", "--json").AssertRefused("--colour", "--json");

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

    [GeneratedRegex(@"\e\[[\d;]*m")]
    private static partial Regex Ansi();

    private static int[] Ids(JsonElement json, string name) =>
        [.. json.GetProperty(name).EnumerateArray().Select(id => id.GetInt32())];
}
