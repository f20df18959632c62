using System.Text.Json.Nodes;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Targets;

/// <summary>
/// A tiny random model of each family, against an independent forward pass in PyTorch: <c>families.py</c> describes the models and
/// records what they compute. Their weights follow from the names of the tensors.
/// </summary>
[Trait(PromptSample.Category, PromptSample.Numeric)]
public sealed class FamilyTests : IDisposable
{
    private const string YarnCase = "Qwen2.5, yarn";

    private static readonly JsonNode s_recorded = Read();
    private static readonly int[] s_prompt = Ids(s_recorded["prompt"]!);

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Cases => [.. s_recorded["cases"]!.AsObject().Select(item => item.Key)];

    public void Dispose() => _folder.Dispose();

    [Theory, MemberData(nameof(Cases))]
    public void Logits_and_greedy_tokens_are_those_of_the_independent_forward_pass(string name) => With(name, (target, recorded) =>
    {
        float[] expected = [.. recorded["logits"]!.AsArray().Select(logit => (float)logit!)];
        using var cache = target.NewCache(1, 64);
        // Prompt and answer, in kernels of Koala's own.
        var hidden = target.Append(cache, s_prompt);
        AssertClose(expected, target.Logits(hidden)[^1], "own kernels");
        var answer = new List<int>();
        var next = hidden[^1];
        foreach (var token in Ids(recorded["greedy"]!))
        {
            answer.Add((int)target.Logits(next).argmax().item<long>());
            Assert.Equal(token, answer[^1]);
            next = target.Append(cache, [[token]])[0, 0];
        }
        // The same layers in libtorch.
        var states = target.States(s_prompt);
        AssertClose(expected, target.Logits(states[^1])[^1], "libtorch");
        var all = target.States([.. s_prompt, .. answer[..^1]])[^1];
        Assert.Equal(answer, target.Logits(all).argmax(-1).data<long>().ToArray()[(s_prompt.Length - 1)..].Select(id => (int)id));
    });

    [Theory, MemberData(nameof(Cases))]
    public void A_node_of_a_tree_and_a_row_of_a_batch_equal_the_token_alone(string name) => With(name, (target, _) =>
    {
        int[] tokens = [7, 30, 12, 55, 9, 21, 33, 4, 48, 16];
        int[] parents = [-1, 0, 0, 1, 3, 4, 2, 5, -1, 7];
        using var batch = target.NewCache(2, 64);
        target.Append(batch, [s_prompt, s_prompt[..5]]);
        var together = target.Logits(target.Append(batch, new TokenTrees([tokens, tokens], [parents, parents]), []).Hidden);
        for (var sequence = 0; sequence < 2; sequence++)
            for (var node = 0; node < tokens.Length; node++)
            {
                var path = new Stack<int>();
                for (var at = node; at >= 0; at = parents[at]) path.Push(tokens[at]);
                using var cache = target.NewCache(1, 64);
                target.Append(cache, sequence == 0 ? s_prompt : s_prompt[..5]);
                Tensor? last = null;
                foreach (var token in path) last = target.Append(cache, [[token]]);
                var isSame = target.Logits(last!)[0, 0].equal(together[sequence, node]).all().item<bool>();
                Assert.True(isSame, $"sequence {sequence}, node {node}");
            }
    });

    [Theory, MemberData(nameof(Cases))]
    public void Packed_rows_compute_each_of_their_texts_as_if_it_were_alone(string name) => With(name, (target, _) =>
    {
        using var cache = target.NewCache(1, 32);
        var positions = cat([arange(12), arange(9)]).to(ScalarType.Int64).view(1, -1);
        var segments = cat([zeros(12), ones(9)]).to(ScalarType.Int64).view(1, -1);
        var tokens = tensor((long[])[.. s_prompt.Concat(s_prompt[..9]).Select(id => (long)id)]).view(1, -1);
        var packed = target.Model.Features(cache, tokens, positions, segments, []).Hidden[0];
        var alone = target.States(s_prompt)[^1];
        Assert.InRange((packed.narrow(0, 0, 12) - alone).abs().max().item<float>(), 0, 1e-4f);
        Assert.InRange((packed.narrow(0, 12, 9) - alone.narrow(0, 0, 9)).abs().max().item<float>(), 0, 1e-4f);
    });

    [Fact]
    public void Several_ids_end_an_answer() => With("Qwen3", (target, _) => Assert.Equal([0, 1], target.Config.EndOfSequenceIds));

    [Theory, InlineData(YarnCase), InlineData("Qwen3"), InlineData("Vicuna, linear")]
    public void A_gguf_file_of_the_family_computes_the_same_and_so_do_its_parts(string name)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var recorded = s_recorded["cases"]![name]!;
        var config = recorded["config"]!.DeepClone().AsObject();
        if (name != YarnCase) config.Remove("rope_scaling");
        FamilyModel.Write(_folder.Path, config, (int)recorded["seed"]!);
        var gguf = GgufConversion.Of(_folder.Path, ScalarType.Float32);
        if (config["rope_scaling"] is { } yarn)
        {
            gguf.Set("qwen2.rope.scaling.type", "yarn").Set("qwen2.rope.scaling.factor", (float)yarn["factor"]!)
                .Set("qwen2.rope.scaling.original_context_length", (uint)yarn["original_max_position_embeddings"]!);
        }
        File.WriteAllBytes(_folder.At("whole.gguf"), gguf.Build());
        var parts = gguf.Split(3);
        for (var i = 0; i < parts.Count; i++) File.WriteAllBytes(_folder.At($"m-0000{i + 1}-of-00003.gguf"), parts[i].Build());
        using var folder = Target.Load(_folder.Path);
        foreach (var file in (string[])["whole.gguf", "m-00001-of-00003.gguf"])
        {
            using var target = Target.Load(_folder.At(file));
            Assert.True(folder.Logits(folder.States(s_prompt)[^1]).equal(target.Logits(target.States(s_prompt)[^1])).all().item<bool>());
        }
        var second = Assert.Throws<KoalaException>(() => Target.Load(_folder.At("m-00002-of-00003.gguf")));
        Assert.Contains("m-00001-of-00003.gguf", second.Fix);
        File.Delete(_folder.At("m-00003-of-00003.gguf"));
        var third = Assert.Throws<KoalaException>(() => Target.Load(_folder.At("m-00001-of-00003.gguf")));
        Assert.Contains("m-00003-of-00003.gguf", third.Where);
    }

    /// <summary>Runs a check with the model of a case and what is recorded of it.</summary>
    internal static void With(string name, Action<Target, JsonNode> check)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var folder = new TemporaryFolder();
        var recorded = s_recorded["cases"]![name]!;
        FamilyModel.Write(folder.Path, recorded["config"]!.AsObject(), (int)recorded["seed"]!);
        using var target = Target.Load(folder.Path);
        check(target, recorded);
    }

    private static void AssertClose(float[] expected, Tensor logits, string what) =>
        Assert.True((tensor(expected) - logits).abs().max().item<float>() is var apart && apart < 2e-3f, $"{what}: {apart} apart");

    private static int[] Ids(JsonNode list) => [.. list.AsArray().Select(id => (int)id!)];

    private static JsonNode Read() => JsonNode.Parse(TestFiles.Unpacked("src", "Koala.Lab.Tests", "Targets", "families.json.gz"))!;
}
