using System.Buffers.Binary;
using System.Text.Json;
using Koala.Lab.Decoding;
using Koala.Lab.Evaluation.Statistics;
using Koala.Lab.Targets;
using Koala.Lab.Tests.Decoding;

namespace Koala.Lab.Tests.Evaluation;

public sealed class OutputMatchTests
{
    private static readonly int[] s_prompt = Golden.Prompts("koala-nano")[0].Ids;

    [Fact]
    public void The_same_tokens_are_equal() =>
        Assert.Equal(OutputMatch.Kind.Equal,
            Of(ShippedModels.Nano, PlainDecoding.Answer(ShippedModels.Nano, s_prompt, 12), x => x));

    [Fact]
    public void A_changed_token_is_a_difference_at_every_position()
    {
        var answer = PlainDecoding.Answer(ShippedModels.Nano, s_prompt, 12);
        for (var at = 0; at < answer.Length; at++)
            Assert.Equal(OutputMatch.Kind.Different,
                Of(ShippedModels.Nano, answer, x => [.. x.Select((token, i) => i == at ? (token + 1) % 512 : token)]));
    }

    [Fact]
    public void A_missing_or_added_end_is_a_difference()
    {
        var answer = PlainDecoding.Answer(ShippedModels.Nano, s_prompt, 12);
        Assert.Equal(OutputMatch.Kind.Different, Of(ShippedModels.Nano, answer, x => x[..^1]));
        Assert.Equal(OutputMatch.Kind.Different, Of(ShippedModels.Nano, answer, x => [.. x, 7]));
        Assert.Equal(OutputMatch.Kind.Different, Of(ShippedModels.Nano, answer, _ => []));
    }

    [Fact]
    public void The_comparison_leaves_no_tensor()
    {
        var live = TorchSharp.DisposeScopeManager.Statistics.TensorStatistics;
        var answer = PlainDecoding.Answer(ShippedModels.Nano, s_prompt, 6);
        var before = live.ThreadTotalLiveCount;
        Of(ShippedModels.Nano, answer, x => [.. x[..3], 9]);
        Assert.Equal(before, live.ThreadTotalLiveCount);
    }

    /// <summary>A target in which two tokens have the same embedding, and so always the same logit.</summary>
    [Fact]
    public void Tokens_that_tie_in_the_target_are_a_near_tie_and_a_third_one_is_a_difference()
    {
        var answer = PlainDecoding.Answer(ShippedModels.Nano, s_prompt, 12);
        const int Place = 4;
        using var folder = new TemporaryFolder();
        var twin = Enumerable.Range(3, 500).First(t => !answer.Contains(t) && !s_prompt.Contains(t));
        using var target = WithTwin(folder, answer[Place], twin);
        var tied = PlainDecoding.Answer(target, s_prompt, 12);
        var twins = (int[])[answer[Place], twin];
        Assert.Contains(tied[Place], twins);
        int[] Replaced(int[] tokens, int by) => [.. tokens.Select((token, i) => i == Place ? by : token)];
        Assert.Equal(OutputMatch.Kind.NearTie, Of(target, tied, x => Replaced(x, twins.Single(t => t != tied[Place]))));
        Assert.Equal(OutputMatch.Kind.Different, Of(target, tied, x => Replaced(x, (twin + 1) % 512)));
    }

    [Fact]
    public void On_a_cpu_no_difference_is_a_near_tie() => Assert.False(OutputMatch.HasNearTies(ShippedModels.Nano));

    private static OutputMatch.Kind Of(Target target, int[] baseline, Func<int[], int[]> change)
    {
        static Generation Made(int[] tokens) => new(s_prompt, tokens, "", FinishReason.Length, 1, 0.1, []);
        return OutputMatch.Compare(target, Made(baseline), Made(change(baseline)), nearTies: true);
    }

    private static Target WithTwin(TemporaryFolder folder, int token, int twin)
    {
        foreach (var file in Directory.EnumerateFiles(ShippedModels.Folder("koala-nano")))
            File.Copy(file, folder.At(Path.GetFileName(file)));
        var bytes = File.ReadAllBytes(folder.At("model.safetensors"));
        var header = (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        using var json = JsonDocument.Parse(bytes.AsMemory(8, header));
        var embedding = json.RootElement.GetProperty("model.embed_tokens.weight");
        var start = 8 + header + embedding.GetProperty("data_offsets")[0].GetInt32();
        var row = embedding.GetProperty("shape")[1].GetInt32() * sizeof(ushort);
        bytes.AsSpan(start + token * row, row).CopyTo(bytes.AsSpan(start + twin * row));
        File.WriteAllBytes(folder.At("model.safetensors"), bytes);
        return Target.Load(folder.Path);
    }
}
