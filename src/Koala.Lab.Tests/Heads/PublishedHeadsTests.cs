using Koala.Lab.Checkpoints;
using Koala.Lab.Checkpoints.Safetensors;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Targets;
using Koala.Lab.Tests.Cli;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Heads;

/// <summary>Heads of other projects are named by their format, as a head, as a target, and by inspect.</summary>
public sealed class PublishedHeadsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("Medusa", """{"medusa_num_heads":2,"medusa_num_layers":1,"base_model_name_or_path":"org/base"}""")]
    [InlineData("Hydra", """{"hydra_num_heads":4}""")]
    [InlineData("MLP speculator", """{"architectures":["MLPSpeculatorPreTrainedModel"],"model_type":"mlp_speculator"}""")]
    [InlineData("EAGLE", """{"architectures":["LlamaForCausalLM"],"model_type":"llama","num_hidden_layers":1,"bias":true}""")]
    [InlineData("EAGLE", """{"architectures":["EagleLlamaForCausalLM"],"model_type":"llama"}""")]
    [InlineData("EAGLE-3", """{"architectures":["LlamaForCausalLMEagle3"],"model_type":"llama","draft_vocab_size":256}""")]
    [InlineData("speculators (eagle3)", """{"architectures":["Eagle3Speculator"],"speculators_model_type":"eagle3"}""")]
    public void The_config_names_the_format(string format, string config)
    {
        File.WriteAllText(_folder.At("config.json"), config);
        File.WriteAllText(_folder.At("pytorch_model.bin"), "pickled");
        Named(format);
    }

    [Theory]
    [InlineData("EAGLE", "fc.weight")]
    [InlineData("EAGLE-3", "d2t")]
    public void Where_the_config_is_a_Llamas_the_tensors_name_the_format(string format, string tensor)
    {
        File.Copy(Path.Combine(ShippedModels.Folder("koala-nano"), "config.json"), _folder.At("config.json"));
        using (var x = zeros(1)) SafetensorsWriter.Write(_folder.At("model.safetensors"), [new(tensor, x)]);
        Named(format);
    }

    [Fact]
    public void A_file_of_Medusas_name_is_enough()
    {
        File.WriteAllText(_folder.At("medusa_lm_head.pt"), "pickled");
        Named("Medusa");
    }

    [Theory]
    [InlineData("medusa_lm_head.pt", new byte[] { 229, 188, 220, 93, 154, 182, 174, 200, 127, 1 }, "is no file of torch.save")]
    [InlineData("weights", new byte[] { (byte)'P', (byte)'K', 3, 4, 0, 0, 8, 8, 0, 0 }, "the archive has no end")]
    [InlineData("weights.safetensors", new byte[] { 0x80, 2, 0x7d, 0x71, 0, 0x58, 1, 2, 3 }, "not one that torch.save wrote")]
    public void A_damaged_file_of_PyTorch_is_one_error(string name, byte[] bytes, string fault)
    {
        File.WriteAllBytes(_folder.At(name), bytes);
        CommandRun.Of("inspect", _folder.At(name)).AssertRefused(fault);
    }

    [Fact]
    public void A_target_whose_config_has_a_key_bias_is_a_target()
    {
        foreach (var file in Directory.GetFiles(ShippedModels.Folder("koala-nano")))
            File.Copy(file, _folder.At(Path.GetFileName(file)));
        var config = File.ReadAllText(_folder.At("config.json"));
        File.WriteAllText(_folder.At("config.json"), config.Replace("{", "{ \"bias\": false,", StringComparison.Ordinal));
        using var target = Target.Load(_folder.Path);
        Assert.Equal(ShippedModels.Nano.Identity.EmbeddingHash, target.Identity.EmbeddingHash);
    }

    [Fact]
    public void A_target_is_no_head_and_a_head_of_Koala_is_no_target()
    {
        var nano = ShippedModels.Folder("koala-nano");
        Assert.Contains("holds a target, not a head", Assert.Throws<KoalaException>(() => HeadFolder.ReadConfig(nano)).Message);
        using (var head = DraftHead.Create(new MedusaOptions(), ShippedModels.Nano)) head.Save(_folder.Path, "the card");
        Assert.Contains("not a target", Assert.Throws<KoalaException>(() => ModelFiles.Open(_folder.Path)).Message);
    }

    [Fact]
    public void A_folder_of_single_files_is_described()
    {
        CommandRun.Of("inspect", _folder.Path).AssertRefused("no model, head or run; it has no files");
        File.WriteAllText(_folder.At("readme.txt"), "");
        CommandRun.Of("inspect", _folder.Path).AssertRefused("it has readme.txt");
        File.WriteAllText(_folder.At("b.gguf"), "");
        CommandRun.Of("inspect", _folder.Path).AssertRefused("GGUF files: b.gguf", _folder.At("b.gguf"));
    }

    [Fact]
    public void A_config_longer_than_any_is_not_read()
    {
        using (var file = File.Create(_folder.At("config.json"))) file.SetLength(3L << 30);
        var before = GC.GetTotalAllocatedBytes();
        Assert.False(HeadFolder.IsHead(_folder.Path));
        Assert.Contains("at most", Assert.Throws<KoalaException>(() => HeadFolder.ReadConfig(_folder.Path)).Fault);
        CommandRun.Of("inspect", _folder.Path).AssertRefused("at most");
        Assert.InRange(GC.GetTotalAllocatedBytes() - before, 0, 32 << 20);
    }

    [Theory]
    [InlineData("""{"format":1,"head":{"kind":"#"},"target":{}}""")]
    [InlineData("""{"format":1,"head":{"kind":"medusa","#":1,"layers":"#"},"target":{}}""")]
    [InlineData("""{"format":"#","head":{},"target":{}}""")]
    public void A_long_value_is_cut_where_a_message_quotes_it(string config)
    {
        File.WriteAllText(_folder.At("config.json"), config.Replace("#", new string('a', 100_000), StringComparison.Ordinal));
        Assert.InRange(Assert.Throws<KoalaException>(() => HeadFolder.ReadConfig(_folder.Path)).Message.Length, 1, 700);
    }

    /// <summary>The tensors decide, whatever the config calls itself; weights that are no file of PyTorch are one error.</summary>
    [Theory]
    [InlineData("eagle3", "EAGLE")]
    [InlineData("spec", "EAGLE (speculators)")]
    [InlineData("eagle", null)]
    [InlineData("medusa", null)]
    public void Cases_of_published_heads_are_recognized_or_refused(string name, string? format)
    {
        var folder = SharedFiles.At("cases", "20-published-heads", name);
        var inspection = CommandRun.Of("inspect", folder);
        var generation = CommandRun.Of("generate", "--target", ShippedModels.Folder("koala-nano"), "--head", folder, "--prompt", "Why?",
            "--max-tokens", "4");
        if (format is null)
        {
            inspection.AssertRefused("is no file of torch.save");
            generation.AssertRefused("is no file of torch.save");
            return;
        }
        inspection.AssertDone();
        Assert.Contains(format, inspection.Output);
        generation.AssertDone();
        Assert.Contains($"head: {format}; 1 layer, counted from the tensors", generation.Error);
    }

    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void A_damaged_config_of_a_published_head_is_read_or_refused()
    {
        PublishedParityTests.Write("eagle3-speculators", _folder.Path);
        var config = _folder.At("config.json");
        Mutations.Try(File.ReadAllBytes(config), 20_261_130, bytes =>
        {
            Mutations.Write(config, bytes);
            DraftHead.Load(_folder.Path, ShippedModels.Nano).Dispose();
        }, PromptSample.Count(Mutations.Count, 200), margin: 16 << 20);
    }

    private void Named(string format)
    {
        var words = $"is a draft head in the published format of {format}, ";
        Assert.Contains(words, Assert.Throws<KoalaException>(() => HeadFolder.ReadConfig(_folder.Path)).Message);
        Assert.Contains(words, Assert.Throws<KoalaException>(() => ModelFiles.Open(_folder.Path)).Message);
        Assert.DoesNotContain("AutoModel", CommandRun.Of("inspect", _folder.Path).Error, StringComparison.Ordinal);
    }
}
