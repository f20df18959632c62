using System.Text.Json;

namespace Koala.Lab.Tests.Cli;

public sealed class ShortCommandTests
{
    private static readonly string s_nano = ShippedModels.Folder("koala-nano");

    [Fact]
    public void Tokenize_gives_ids_without_a_template_and_their_text()
    {
        var json = CommandRun.Of("tokenize", s_nano, "--text", "Why is the sky blue?", "--json").AssertDone().Json;
        int[] ids = [.. json.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
        Assert.Equal(ShippedModels.Nano.Tokenizer.Encode("Why is the sky blue?"), ids);
        Assert.Equal("Why is the sky blue?", json.GetProperty("decoded").GetString());
        Assert.Equal(["decoded", "ids"], json.EnumerateObject().Select(p => p.Name).Order());
    }

    [Fact]
    public void Tokenize_reads_standard_input_and_prints_one_token_per_line()
    {
        var run = CommandRun.WithInput("a\nb\n", "tokenize", s_nano).AssertDone();
        var ids = ShippedModels.Nano.Tokenizer.Encode("a\nb\n");
        Assert.Equal(ids.Count, run.Lines.Length);
        Assert.Contains(run.Lines,
            line => line.EndsWith("\"\\n\"", StringComparison.Ordinal)
                || line.EndsWith("\\nb\"", StringComparison.Ordinal));
    }

    [Theory, InlineData("a\n"), InlineData("a\r\n"), InlineData("\n\n"), InlineData("a")]
    public void Tokenize_keeps_the_line_breaks_of_standard_input(string text) =>
        Assert.Equal(text,
            CommandRun.WithInput(text, "tokenize", s_nano, "--json").AssertDone().Json.GetProperty("decoded").GetString());

    [Fact]
    public void Doctor_prints_its_report_as_json()
    {
        var json = CommandRun.Of("doctor", "--json").AssertDone().Json;
        Assert.NotEqual(JsonValueKind.Null, json.GetProperty("libTorch").ValueKind);
        Assert.All(json.GetProperty("findings").EnumerateArray(),
            finding => Assert.NotEqual("error", finding.GetProperty("level").GetString()));
    }

    [Fact]
    public void Inspect_counts_a_targets_parameters_by_part()
    {
        var json = CommandRun.Of("inspect", s_nano, "--json").AssertDone().Json;
        Assert.Equal("target", json.GetProperty("kind").GetString());
        Assert.Equal(ShippedModels.Nano.Parameters, json.GetProperty("parameters").GetInt64());
        Assert.Equal(ShippedModels.Nano.Parameters,
            json.GetProperty("parametersByPart").EnumerateObject().Sum(part => part.Value.GetInt64()));
        Assert.Equal(ShippedModels.Nano.Config.ContextLength,
            json.GetProperty("config").GetProperty("contextLength").GetInt32());
        Assert.Contains("config.contextLength", CommandRun.Of("inspect", s_nano).AssertDone().Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Inspect_lists_the_tensors_of_a_file()
    {
        var json = CommandRun.Of("inspect", Path.Combine(s_nano, "model.safetensors"), "--json").AssertDone().Json;
        Assert.Equal("safetensors", json.GetProperty("kind").GetString());
        Assert.True(json.GetProperty("tensors").TryGetProperty("model.embed_tokens.weight", out _));
    }

    [Fact]
    public void Inspect_refuses_anything_else()
    {
        using var folder = new TemporaryFolder();
        CommandRun.Of("inspect", folder.Path).AssertRefused("config.json", "Fix: ");
        CommandRun.Of("inspect", folder.At("nothing")).AssertRefused("does not exist");
    }
}
