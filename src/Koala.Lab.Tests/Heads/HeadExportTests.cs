using System.Text.Json;
using Koala.Lab.Checkpoints;
using Koala.Lab.Checkpoints.Safetensors;
using Koala.Lab.Data;
using Koala.Lab.Evaluation.Acceptance;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Heads.Published;
using Koala.Lab.Tests.Cli;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Heads;

/// <summary>
/// Heads are written in the formats of other projects and read back as the same heads; what a format cannot hold is refused.
/// </summary>
public sealed class HeadExportTests : IDisposable
{
    private static readonly EagleOptions s_eagle3 = new() { FusedFeatures = true, FusedLayers = [0, 1, 2] };

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<ExportFormat, HeadOptions> Cases => new()
    {
        { ExportFormat.Medusa, new MedusaOptions { Heads = 3, Layers = 2 } },
        { ExportFormat.Medusa, new MedusaOptions { Heads = 2, OwnLmHeads = true } },
        { ExportFormat.VllmMedusa, new MedusaOptions { Heads = 3, Layers = 2 } },
        { ExportFormat.VllmMedusa, new MedusaOptions { Heads = 2, Layers = 2, Tied = true, OwnLmHeads = true } },
        { ExportFormat.Eagle, new EagleOptions { Layers = 2, Bias = true } },
        { ExportFormat.Speculators, s_eagle3 with { Layers = 3, DraftVocabulary = 100 } },
        { ExportFormat.Speculators, s_eagle3 with { FeatureNorms = true, NormOutput = true, NormBeforeResidual = true } },
        { ExportFormat.VllmEagle3, s_eagle3 with { Layers = 2, NormBeforeFc = true, OwnLmHead = true } },
        { ExportFormat.VllmEagle3, s_eagle3 with { FeatureNorms = true, NormOutput = true } },
        { ExportFormat.Speculators, s_eagle3 with { FusionWeights = true } },
        { ExportFormat.SglangEagle3, s_eagle3 with { FeatureNorms = true, NormOutput = true, DraftVocabulary = 100 } },
        { ExportFormat.SglangEagle3, s_eagle3 with { DraftVocabulary = 100 } },
    };

    public void Dispose() => _folder.Dispose();

    [Theory, MemberData(nameof(Cases))]
    public void Written_and_read_a_head_accepts_the_same_tokens(ExportFormat format, HeadOptions options)
    {
        using var head = Random(options);
        HeadExport.Write(head, ShippedModels.Nano, format, _folder.Path);
        Assert.Equal(head is MedusaHead, PublishedHead.FormatOf(_folder.Path)!.StartsWith("Medusa", StringComparison.Ordinal));
        using var read = DraftHead.Load(_folder.Path, ShippedModels.Nano);
        Assert.Equal(options.Layers, read.Options.Layers);
        Assert.Equal(head.Vocabulary?.Tokens, read.Vocabulary?.Tokens);
        Assert.Equal(head.FeatureLayers, read.FeatureLayers);
        Assert.Equal((options as MedusaOptions)?.Tied, (read.Options as MedusaOptions)?.Tied);
        var prompts = Prompts.Load(TestFiles.At("data", "mt-bench.jsonl"), 3);
        Assert.Equal(PositionCounts.Measure(ShippedModels.Nano, head, prompts, maxTokens: 12).Positions,
            PositionCounts.Measure(ShippedModels.Nano, read, prompts, maxTokens: 12).Positions);
        // An exported head is exported again as the same file.
        HeadExport.Write(read, ShippedModels.Nano, format, _folder.At("again"));
        foreach (var file in (string[])["config.json", Weights(_folder.Path)])
            Assert.Equal(File.ReadAllBytes(_folder.At(file)), File.ReadAllBytes(_folder.At("again", file)));
    }

    [Fact]
    public void The_config_has_what_loaders_insist_on()
    {
        using var head = Random(s_eagle3 with { Layers = 2, DraftVocabulary = 100 });
        HeadExport.Write(head, ShippedModels.Nano, ExportFormat.Speculators, _folder.Path);
        var config = JsonDocument.Parse(File.ReadAllText(_folder.At("config.json"))).RootElement;
        Assert.Equal([1, 2, 3], config.GetProperty("eagle_aux_hidden_state_layer_ids").EnumerateArray().Select(id => id.GetInt32()));
        Assert.False(config.GetProperty("norm_before_residual").GetBoolean());
        Assert.Equal(2, config.GetProperty("transformer_layer_config").GetProperty("num_hidden_layers").GetInt32());
        var proposal = config.GetProperty("speculators_config").GetProperty("proposal_methods")[0];
        Assert.True(proposal.GetProperty("speculative_tokens").GetInt32() > 0);
        using var file = SafetensorsFile.Open(_folder.At("model.safetensors"));
        Assert.Equal([100, 64], file.Tensors["lm_head.weight"].Shape);
        Assert.Equal([32, 128], file.Tensors["layers.0.self_attn.k_proj.weight"].Shape);
        Assert.Equal([32, 64], file.Tensors["layers.1.self_attn.k_proj.weight"].Shape);
    }

    public static TheoryData<ExportFormat, HeadOptions, string> Refused => new()
    {
        { ExportFormat.SglangEagle3, s_eagle3 with { Layers = 2 }, "K = 2" },
        { ExportFormat.Speculators, new EagleOptions(), "the head's is EAGLE's" },
        { ExportFormat.Speculators, new EagleOptions { FusedFeatures = true, Bias = true }, "the head's is EAGLE's" },
        { ExportFormat.Eagle, s_eagle3, "fuses those of several layers" },
        { ExportFormat.Eagle, new EagleOptions { DraftVocabulary = 100 }, "no draft vocabulary" },
        { ExportFormat.VllmMedusa, s_eagle3, "of the kind eagle" },
        { ExportFormat.Eagle, new MedusaOptions(), "of the kind medusa" },
        { ExportFormat.Speculators, s_eagle3 with { FusedLayers = [0, 1, 3] }, "last layer" },
        { ExportFormat.Medusa, new MedusaOptions { Heads = 2, MarkovRank = 4 }, "Markov bias" },
        { ExportFormat.VllmMedusa, new MedusaOptions { Heads = 2, MarkovRank = 4 }, "Markov bias" },
        { ExportFormat.Medusa, new MedusaOptions { Heads = 2, Confidence = true }, "confidence output" },
        { ExportFormat.Speculators, s_eagle3 with { Confidence = true }, "confidence output" },
        { ExportFormat.Eagle, new EagleOptions { Window = 64 }, "window of attention" },
    };

    [Theory, MemberData(nameof(Refused))]
    public void What_a_format_cannot_hold_is_refused_before_anything_is_written(ExportFormat format, HeadOptions options, string fault)
    {
        using var head = Random(options);
        var e = Assert.Throws<KoalaException>(() => HeadExport.Write(head, ShippedModels.Nano, format, _folder.At("out")));
        Assert.Equal("format", e.Option);
        Assert.Contains(fault, e.Fault);
        Assert.False(Directory.Exists(_folder.At("out")));
    }

    [Fact]
    public void The_command_exports_checks_and_refuses()
    {
        var target = ShippedModels.Folder("koala-nano");
        var head = TestFiles.At("checkpoints", "koala-nano-eagle-k2");
        var run = CommandRun.Of("export", head, "--target", target, "--format", "eagle", "--out", _folder.At("out"));
        run.AssertDone();
        Assert.Contains("accepts the same tokens on 20 prompts", run.Output);
        CommandRun.Of("generate", "--target", target, "--head", _folder.At("out"), "--prompt", "Why?", "--max-tokens", "8").AssertDone();
        CommandRun.Of("export", head, "--target", target, "--format", "eagle", "--out", _folder.At("out")).AssertRefused("exists already");
        CommandRun.Of("export", head, "--target", target, "--format", "sglang-eagle3", "--out", _folder.At("other"))
            .AssertRefused("--format");
        Assert.False(Path.Exists(_folder.At("other")));
    }

    [Fact]
    public void A_head_of_another_target_and_a_wrong_map_are_refused()
    {
        using var scope = NewDisposeScope();
        PublishedParityTests.Write("eagle3", _folder.Path);
        void With(string name, Tensor tensor)
        {
            PublishedParityTests.Write("eagle3", _folder.Path);
            using var file = (SafetensorsFile)WeightFile.Open(_folder.At("model.safetensors"));
            StateDict all = [.. file.Tensors.Values.Where(t => t.Name != name)
                .Select(t => KeyValuePair.Create(t.Name, file.Read(t.Name, t.Dtype!.Value, CPU))), new(name, tensor)];
            SafetensorsWriter.Write(_folder.At("other.safetensors"), all);
            File.Move(_folder.At("other.safetensors"), _folder.At("model.safetensors"), overwrite: true);
        }
        string Fault() => Assert.Throws<KoalaException>(() => DraftHead.Load(_folder.Path, ShippedModels.Nano)).Message;

        With("embed_tokens.weight", rand(512, 64));
        Assert.Contains("made for another target", Fault());
        With("d2t", arange(40, ScalarType.Int64) * 20);
        Assert.Contains("maps token 25 to 525", Fault());
        With("d2t", zeros(40, ScalarType.Int64) - 1);
        Assert.Contains("maps token 0 to -1", Fault());
        With("layers.0.unknown.weight", rand(4));
        Assert.Contains("1 unexpected (layers.0.unknown.weight)", Fault());
        With("fc.weight", rand(64, 128));
        Assert.Contains("takes 128 numbers", Fault());
    }

    private static string Weights(string folder) =>
        Path.GetFileName(Directory.GetFiles(folder, "*.safetensors").Single());

    private static DraftHead Random(HeadOptions options)
    {
        if (options is EagleOptions eagle) return EagleFixtures.Random(ShippedModels.Nano, eagle);
        var head = DraftHead.Create(options, ShippedModels.Nano);
        using var _ = no_grad();
        using var generator = new Generator(5, CPU);
        foreach (var (name, tensor) in head.Parameters)
            if (name != "lm_heads") tensor.copy_((rand(tensor.shape, generator: generator) - 0.5) * 0.1);
        return head;
    }
}
