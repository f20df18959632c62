using System.Text.Json;
using Koala.Lab.Checkpoints.Safetensors;
using Koala.Lab.Drafting;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Medusa;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Heads;

/// <summary>
/// Heads in every published format draft as an independent reference in PyTorch, bench/peers/published_heads.py, whose outputs are in
/// golden/published-heads.json.gz. The weights are a formula, so that the heads are made here without PyTorch.
/// </summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class PublishedParityTests : IDisposable
{
    private const double Tolerance = 1e-3;

    private static readonly JsonElement s_golden = JsonDocument.Parse(Golden.Unpacked("published-heads.json.gz")).RootElement;

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Cases => [.. s_golden.GetProperty("cases").EnumerateObject().Select(c => c.Name)];

    public void Dispose() => _folder.Dispose();

    [Theory, MemberData(nameof(Cases))]
    public void A_published_head_drafts_as_the_reference(string name)
    {
        Write(name, _folder.Path);
        Check(name, _folder.Path);
    }

    [Fact]
    public void Heads_that_PyTorch_saved_draft_as_the_reference()
    {
        SystemPython.Run("torch", TestFiles.At("bench", "peers", "published_heads.py"), _folder.At("out.json"), _folder.At("heads"));
        foreach (string name in Cases) Check(name, _folder.At("heads", name));
    }

    /// <summary>The head of a case, as its project stores it.</summary>
    internal static void Write(string name, string folder)
    {
        using var scope = NewDisposeScope();
        var golden = s_golden.GetProperty("cases").GetProperty(name);
        var tensors = new List<KeyValuePair<string, Tensor>>();
        foreach (var (place, shape) in golden.GetProperty("shapes").EnumerateObject().Index())
            tensors.Add(new(shape.Name, Weights([.. shape.Value.EnumerateArray().Select(size => size.GetInt64())], place)));
        var isMedusa = name.StartsWith("medusa", StringComparison.Ordinal);
        if (name.StartsWith("eagle3", StringComparison.Ordinal))
            tensors.Add(new("d2t", tensor([.. Enumerable.Range(0, 40).Select(i => (long)i * 10 + 5)])));
        SafetensorsWriter.Write(Path.Combine(folder, isMedusa ? "medusa_lm_head.safetensors" : "model.safetensors"), [.. tensors]);
        File.WriteAllText(Path.Combine(folder, "config.json"), golden.GetProperty("config").GetRawText());
    }

    // What weights_of computes.
    private static Tensor Weights(long[] shape, int place)
    {
        var wave = (arange(shape.Aggregate(1L, (a, b) => a * b), ScalarType.Float64) * 12.9898 + place * 78.233).sin() * 43758.5453;
        var noise = (wave - wave.floor() - 0.5).view(shape);
        return (shape.Length == 2 ? noise * (3.0 / Math.Sqrt(shape[^1])) : 1 + noise * 0.3).to(ScalarType.Float32);
    }

    private static void Check(string name, string folder)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = DraftHead.Load(folder, ShippedModels.Nano);
        Assert.NotNull(head.Origin);
        Check(name, head, (LevelDrafter)head.NewDrafter(ShippedModels.Nano, 1, 64));
        if (head is EagleHead eagle) Check(name, head, eagle.NewTensorDrafter(ShippedModels.Nano, 1, 64));
    }

    private static void Check(string name, DraftHead head, LevelDrafter drafter)
    {
        using var scope = NewDisposeScope();
        using (drafter)
        {
            int[] Ids(string key) => [.. s_golden.GetProperty(key).EnumerateArray().Select(id => id.GetInt32())];
            var (ids, next) = (Ids("ids"), Ids("next"));
            using var cache = ShippedModels.Nano.NewCache();
            drafter.Extend(ShippedModels.Nano.Prefill(cache, [ids[..^1]], head.FeatureLayers).Features, [ids]);
            var golden = s_golden.GetProperty("cases").GetProperty(name);
            var steps = golden.GetProperty("logits").EnumerateArray().ToArray();
            Assert.Equal(head is MedusaHead ? head.MaxDraftLength : 1 + next.Length, steps.Length);
            for (var step = 0; step < steps.Length; step++)
            {
                var logits = (step == 0 ? drafter.First() : drafter.Next([[next[step - 1]]], [[0]]))[0];
                double[] expected = [.. steps[step].EnumerateArray().Select(x => x.GetDouble())];
                var actual = logits.narrow(0, 0, expected.Length).data<float>().ToArray();
                foreach (var (one, other) in expected.Zip(actual))
                    Assert.True(Math.Abs(one - other) <= Tolerance * Math.Max(1, Math.Abs(one)), $"step {step}: {one} and {other}");
                Assert.Equal(golden.GetProperty("best")[step].GetInt64(), logits.argmax().item<long>());
            }
        }
    }
}
