using System.Text.Json.Nodes;
using Koala.Lab.Checkpoints.Safetensors;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Tests.Training;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Heads;

/// <summary>A head's folder is written, read back, and refused when something in it is wrong.</summary>
public sealed class HeadFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(MedusaHeadTests.Variants), MemberType = typeof(MedusaHeadTests))]
    public void Saved_and_loaded_a_head_is_the_same(MedusaOptions options)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = MedusaHeadTests.Randomised(options);
        head.Save(_folder.At("new", "head"), "the card");
        using var loaded = DraftHead.Load(_folder.At("new", "head"), ShippedModels.Nano);
        TinyModels.AssertSame(head, loaded);
        Assert.Equal(options, loaded.Options);
        Assert.Equal(ShippedModels.Nano.Identity, loaded.Target);
        Assert.Equal(head.ParameterCount, loaded.ParameterCount);
        using var batch = TinyModels.Batch(TinyModels.Data.Rows[0]);
        Assert.True(head.Logits(batch.Features, ShippedModels.Nano)
            .equal(((MedusaHead)loaded).Logits(batch.Features, ShippedModels.Nano))
            .all()
            .item<bool>());
    }

    [Fact]
    public void The_folder_holds_config_weights_and_card_and_nothing_else()
    {
        Save(new MedusaOptions());
        Assert.Equal(["card.md", "config.json", "model.safetensors"],
            Directory.GetFileSystemEntries(_folder.Path).Select(Path.GetFileName).Order());
        Assert.Equal("the card", File.ReadAllText(_folder.At("card.md")));
        var config = JsonNode.Parse(File.ReadAllText(_folder.At("config.json")))!;
        Assert.Equal("medusa", (string)config["head"]!["kind"]!);
        Assert.Equal(4, (int)config["head"]!["heads"]!);
        Assert.Equal("koala-nano", (string)config["target"]!["name"]!);
        Assert.Equal(32, ((string)config["target"]!["embeddingHash"]!).Length);
    }

    [Fact]
    public void Tensors_have_their_published_names()
    {
        Save(new MedusaOptions { Heads = 2, Layers = 2, OwnLmHeads = true });
        using var file = SafetensorsFile.Open(_folder.At("model.safetensors"));
        string[] names =
        [
            "0.0.linear.bias", "0.0.linear.weight", "0.1.linear.bias", "0.1.linear.weight", "0.2.weight",
            "1.0.linear.bias", "1.0.linear.weight", "1.1.linear.bias", "1.1.linear.weight", "1.2.weight",
        ];
        Assert.Equal(names, file.Tensors.Keys.Order(StringComparer.Ordinal));
        Assert.Equal([64, 64], file.Tensors["1.1.linear.weight"].Shape);
        Assert.Equal([64], file.Tensors["1.1.linear.bias"].Shape);
        Assert.Equal([512, 64], file.Tensors["1.2.weight"].Shape);
    }

    [Fact]
    public void Tied_blocks_are_stored_K_times_as_published_and_the_targets_LM_head_not_at_all()
    {
        Save(new MedusaOptions { Heads = 1, Layers = 3, Tied = true });
        using var file = SafetensorsFile.Open(_folder.At("model.safetensors"));
        Assert.Equal(6, file.Tensors.Count);
        Assert.All(file.Tensors.Values, t => Assert.Equal(ScalarType.Float32, t.Dtype));
    }

    [Fact]
    public void A_head_for_another_target_is_refused_with_both_named()
    {
        Save(new MedusaOptions());
        var e = Assert.Throws<KoalaException>(() => DraftHead.Load(_folder.Path, ShippedModels.Mini));
        Assert.Contains(ShippedModels.Nano.Identity.ToString(), e.Fault, StringComparison.Ordinal);
        Assert.Contains(ShippedModels.Mini.Identity.ToString(), e.Fault, StringComparison.Ordinal);
    }

    [Fact]
    public void The_targets_folder_may_have_another_name_but_no_other_embedding()
    {
        Save(new MedusaOptions());
        Change(config => config["target"]!["name"] = "renamed");
        DraftHead.Load(_folder.Path, ShippedModels.Nano).Dispose();
        Change(config => config["target"]!["embeddingHash"] = new string('0', 32));
        Refused("config.json", "embedding 00000000");
    }

    [Fact]
    public void An_unknown_kind_is_named_with_the_known_ones()
    {
        Save(new MedusaOptions());
        Change(config => config["head"]!["kind"] = "seer");
        Refused("config.json", "the kind of head is 'seer', but the registered kinds are eagle, medusa");
    }

    [Fact]
    public void A_folder_without_a_head_is_refused()
    {
        Assert.Contains("holds no head",
            Assert.Throws<KoalaException>(() => DraftHead.Load(_folder.Path, ShippedModels.Nano)).Fault,
            StringComparison.Ordinal);
        Assert.Throws<KoalaException>(() => DraftHead.Load(_folder.At("absent"), ShippedModels.Nano));
        Save(new MedusaOptions());
        File.Delete(_folder.At("model.safetensors"));
        Refused("model.safetensors");
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{")]
    [InlineData("""{"format":1,"head":null,"target":null}""")]
    [InlineData("""{"format":"1"}""")]
    public void A_malformed_config_is_refused(string text)
    {
        Save(new MedusaOptions());
        File.WriteAllText(_folder.At("config.json"), text);
        Refused("config.json");
    }

    [Theory]
    [InlineData("format", "2")]
    [InlineData("format", "0")]
    [InlineData("head.kind", "\"seer\"")]
    [InlineData("head.kind", "7")]
    [InlineData("head.layers", "\"two\"")]
    [InlineData("head.layers", "1.5")]
    [InlineData("head", "null")]
    [InlineData("target", "null")]
    [InlineData("target.embeddingHash", "null")]
    public void A_config_with_an_unknown_format_kind_or_value_is_refused(string key, string value)
    {
        Save(new MedusaOptions());
        Change(config => Set(config, key, JsonNode.Parse(value)));
        Refused("config.json");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-3)]
    [InlineData(1000000)]
    public void A_config_with_K_out_of_range_is_refused(int layers)
    {
        Save(new MedusaOptions());
        Change(config => config["head"]!["layers"] = layers);
        Assert.Contains($"K is {layers}",
            Assert.Throws<KoalaException>(() => DraftHead.Load(_folder.Path, ShippedModels.Nano)).Fault,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Missing_unexpected_and_wrongly_shaped_tensors_are_named_together()
    {
        Save(new MedusaOptions { Heads = 2, Layers = 1 });
        using var scope = NewDisposeScope();
        SafetensorsWriter.Write(_folder.At("model.safetensors"),
        [
            new("0.0.linear.weight", zeros(64, 64)), new("0.0.linear.bias", zeros(65)),
            new("1.0.linear.weight", zeros(64, 64)), new("1.1.linear.bias", zeros(64)),
        ]);
        Refused("model.safetensors", "1.0.linear.bias", "1.1.linear.bias", "0.0.linear.bias [65] in place of [64]");
    }

    [Fact]
    public void Weights_of_another_K_than_the_config_says_are_refused()
    {
        Save(new MedusaOptions { Layers = 2 });
        Change(config => config["head"]!["layers"] = 1);
        Refused("model.safetensors", "0.1.linear.weight");
        Change(config => config["head"]!["layers"] = 3);
        Refused("model.safetensors", "0.2.linear.weight");
    }

    [Fact]
    public void A_truncated_file_of_weights_is_refused()
    {
        Save(new MedusaOptions());
        using (var file = File.OpenWrite(_folder.At("model.safetensors"))) file.SetLength(file.Length - 1);
        Refused("model.safetensors");
    }

    private void Save(MedusaOptions options)
    {
        using var head = DraftHead.Create(options, ShippedModels.Nano);
        head.Save(_folder.Path, "the card");
    }

    private void Change(Action<JsonNode> change)
    {
        var config = JsonNode.Parse(File.ReadAllText(_folder.At("config.json")))!;
        change(config);
        File.WriteAllText(_folder.At("config.json"), config.ToJsonString());
    }

    private static void Set(JsonNode config, string key, JsonNode? value)
    {
        var parts = key.Split('.');
        (parts.Length == 1 ? config : config[parts[0]]!)[parts[^1]] = value;
    }

    private void Refused(string file, params string[] words)
    {
        var e = Assert.Throws<KoalaException>(() => DraftHead.Load(_folder.Path, ShippedModels.Nano));
        Assert.Contains(file, e.Message, StringComparison.Ordinal);
        foreach (var word in words) Assert.Contains(word, e.Message, StringComparison.Ordinal);
    }
}
