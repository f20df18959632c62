using Koala.Lab.Checkpoints.Safetensors;
using Koala.Lab.Decoding;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Regeneration;
using Koala.Lab.Targets;
using Koala.Lab.Tests.Training;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Targets;

/// <summary>Numbers that are not finite end the work with their cause; they never look like an answer or like a bad draft.</summary>
public sealed class NotFiniteTargetTests : IDisposable
{
    private static readonly int[] s_prompt = [3, 50, 51, 52];
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("model.norm.weight", double.NaN)]
    [InlineData("model.embed_tokens.weight", double.PositiveInfinity)]
    [InlineData("model.layers.2.self_attn.k_proj.weight", double.NegativeInfinity)]
    public void A_weight_that_is_not_finite_is_named(string name, double value)
    {
        var e = Assert.Throws<KoalaException>(() => Target.Load(Changed(name, value)));
        Assert.Contains($"tensor '{name}'", e.Where, StringComparison.Ordinal);
        Assert.Contains("not finite", e.Fault, StringComparison.Ordinal);
    }

    [Fact]
    public void A_weight_beyond_the_range_of_the_dtype_is_named()
    {
        var folder = ChangedModel.Copy(_folder.At("m"),
            tensors: own => own.With("model.norm.weight", full([64], 1e200, ScalarType.Float64)));
        var e = Assert.Throws<KoalaException>(() => Target.Load(folder));
        Assert.Contains("tensor 'model.norm.weight'", e.Where, StringComparison.Ordinal);
        Assert.Contains("1E+200, beyond the range of fp32", e.Fault, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0.0, false)]
    [InlineData(0.8, false)]
    [InlineData(0.0, true)]
    public void A_target_whose_numbers_overflow_answers_nothing(double temperature, bool fullTrace)
    {
        using var target = Overflowing();
        using var decoder = new SpeculativeDecoder(target);
        NotFinite(() => decoder.Generate(s_prompt, new GenerationOptions { Temperature = temperature, FullTrace = fullTrace }));
        using var batch = new BatchDecoder(target, 2, new GenerationOptions { Temperature = temperature });
        NotFinite(() => batch.Run([new BatchPrompt(s_prompt)], _ => { }));
    }

    [Fact]
    public void Training_blames_the_target_and_not_the_learning_rate()
    {
        using var target = Overflowing();
        using var cache = target.NewCache(1, 64);
        NotFinite(() => new TrainingBatch(target, cache, [TinyModels.Data.Rows[0]]).Dispose());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_head_with_a_weight_that_is_not_finite_is_named_when_it_is_loaded(bool medusa)
    {
        using (var head = DraftHead.Create(medusa ? new MedusaOptions() : new EagleOptions(), ShippedModels.Nano))
            head.Save(_folder.At("head"), "the card");
        var file = _folder.At("head", "model.safetensors");
        using var scope = NewDisposeScope();
        var tensors = new Dictionary<string, Tensor>();
        using (var source = SafetensorsFile.Open(file))
            foreach (var name in source.Tensors.Keys) tensors[name] = source.Read(name, ScalarType.Float32, CPU);
        var last = tensors.Keys.Order(StringComparer.Ordinal).Last();
        tensors[last].view(-1)[0] = double.NaN;
        SafetensorsWriter.Write(file, [.. tensors]);
        var e = Assert.Throws<KoalaException>(() => DraftHead.Load(_folder.At("head"), ShippedModels.Nano));
        Assert.Contains($"tensor '{last}'", e.Where, StringComparison.Ordinal);
    }

    public static TheoryData<string, double> Drafting => new()
    {
        { "chain", 0 }, { "chain", 0.8 }, { "eagle-1", 0 }, { "eagle-1", 0.8 }, { "dynamic", 0 },
    };

    [Theory, MemberData(nameof(Drafting))]
    public void A_head_that_becomes_not_finite_in_memory_does_not_look_like_one_that_drafts_badly(string tree, double temperature)
    {
        HeadOptions[] kinds = [new MedusaOptions { Heads = 5 }, new EagleOptions(), new EagleOptions { DraftVocabulary = 300 }];
        foreach (var options in kinds)
        {
            using var head = DraftHead.Create(options, ShippedModels.Nano);
            using (no_grad()) head.Parameters[0].Value.fill_(double.NaN);
            using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
            DraftTree shape = tree switch
            {
                "chain" => new ChainTree(3),
                "dynamic" => new DynamicTree { Tokens = 8, Levels = 3, TopK = 3 },
                _ => StaticTree.Find(tree),
            };
            var e = Assert.Throws<KoalaException>(() =>
                decoder.Generate(s_prompt, new GenerationOptions { MaxTokens = 20, Temperature = temperature, Tree = shape }));
            Assert.Contains($"the {options.Kind} head, tensor", e.Where, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_draft_model_whose_numbers_overflow_is_named()
    {
        using var model = Overflowing();
        using var source = new DraftModel(model, ShippedModels.Nano);
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, source) { ChooseDraftLength = false };
        NotFinite(() => decoder.Generate(s_prompt, new GenerationOptions { MaxTokens = 20, DraftLength = 3 }));
    }

    // Its weights are finite, and its logits are not.
    private Target Overflowing() => Target.Load(ChangedModel.Copy(_folder.At("overflow"),
        tensors: own => own.With("model.norm.weight", full([64], 3e38, ScalarType.Float32))));

    private string Changed(string name, double value) => ChangedModel.Copy(_folder.At("m"), tensors: own =>
    {
        own[name].view(-1)[7] = value;
        return own;
    });

    private static void NotFinite(Action work) =>
        Assert.StartsWith("the target computes numbers that are not finite", Assert.Throws<KoalaException>(work).Fault,
            StringComparison.Ordinal);
}
