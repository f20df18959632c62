using Koala.Lab.Tests.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Cli;

/// <summary>koala-nano as a GGUF file without a file extension, in every command that takes a target.</summary>
public sealed class GgufCommandTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly string _file;

    public GgufCommandTests()
    {
        _file = _folder.At("nano-file");
        File.WriteAllBytes(_file, GgufConversion.Of(ShippedModels.Folder("koala-nano"), ScalarType.BFloat16).Build());
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Inspect_shows_config_and_stored_types()
    {
        var json = CommandRun.Of("inspect", _file, "--json").AssertDone().Json;
        Assert.Equal(("target", "nano-file"), (json.GetProperty("kind").GetString(), json.GetProperty("name").GetString()));
        Assert.Equal(ShippedModels.Nano.Parameters, json.GetProperty("parametersByDtype").GetProperty("BF16").GetInt64());
        Assert.Equal(ShippedModels.Nano.Config.HeadDim, json.GetProperty("config").GetProperty("headDim").GetInt32());
    }

    [Fact]
    public void Tokenize_and_generate_give_what_the_folder_gives()
    {
        foreach (var line in (string[][])[["tokenize", "TARGET", "--text", "Why is the sky blue?", "--json"],
            ["generate", "--target", "TARGET", "--prompt", "Why is the sky blue?", "--max-tokens", "8", "--dtype", "fp32"]])
        {
            string Output(string target) =>
                CommandRun.Of([.. line.Select(word => word == "TARGET" ? target : word)]).AssertDone().Output;
            Assert.Equal(Output(ShippedModels.Folder("koala-nano")), Output(_file));
        }
    }

    [Fact]
    public void A_head_is_trained_on_it_and_evaluated_with_it()
    {
        var prompts = _folder.At("prompts.jsonl");
        File.WriteAllLines(prompts, ["""{"prompt":"Name a colour."}""", """{"prompt":"Why is the sky blue?"}"""]);
        var line = CommandRun.Of("train", "--target", _file, "--data",
            TestFiles.At("data", "chats-validation.jsonl.gz"), "--out", _folder.At("run"), "--layers", "1", "--steps",
            "2",
            "--batch", "2", "--row-length", "256", "--warmup", "1", "--evaluate", prompts, "--max-tokens", "8").AssertDone();
        Assert.Contains("nano-file", line.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_of_another_kind_is_refused()
    {
        File.WriteAllText(_file, "not a model");
        CommandRun.Of("generate", "--target", _file, "--prompt", "a").AssertRefused("'GGUF'", "Fix: ");
    }
}
