using Koala.Lab.Checkpoints;
using Koala.Lab.Data;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Targets;
using Koala.Lab.Text;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Decoding;

/// <summary>What the decoder is compared with, made without it, and prompts to try.</summary>
internal static class Reference
{
    /// <summary>The target's best tokens one after another, by steps of one token, also beyond the end of the answer.</summary>
    public static int[] Greedy(Target target, IReadOnlyList<int> prompt, int count)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var cache = target.NewCache(1);
        var answer = new List<int>();
        int[] step = [.. prompt];
        while (answer.Count < count)
        {
            using var inner = NewDisposeScope();
            var hidden = target.Append(cache, step);
            step = [(int)target.Logits(hidden.narrow(0, hidden.shape[0] - 1, 1)).argmax().item<long>()];
            answer.Add(step[0]);
            if (prompt.Count + answer.Count >= target.Config.ContextLength) break;
        }
        return [.. answer];
    }

    /// <summary>Greedy, up to and including the end-of-sequence token.</summary>
    public static int[] Answer(Target target, IReadOnlyList<int> prompt, int count)
    {
        var tokens = Greedy(target, prompt, count);
        var end = Array.FindIndex(tokens, target.Config.EndOfSequenceIds.Contains);
        return end < 0 ? tokens : tokens[..(end + 1)];
    }

    public static IEnumerable<int[]> MtBench(Target target, int count) => Prompts.Load(TestFiles.At("data", "mt-bench.jsonl"), count)
        .Select(p => target.Tokenizer.EncodeChat([new Message("user", p.Turns[0])]).ToArray());

    /// <summary>The recorded random K=2 head on koala-nano.</summary>
    public static DraftHead RecordedHead()
    {
        using var file = SafetensorsFile.Open(Golden.At("heads-koala-nano", "medusa-k2.safetensors"));
        return MedusaLayout.Read(file, new MedusaOptions { Layers = 2, OwnLmHeads = true }, Shipped.Nano.Identity, ScalarType.Float32, CPU);
    }

    /// <summary>A head of K layers with small random weights, so that its layers say something.</summary>
    public static DraftHead RandomHead(Target target, int layers)
    {
        using var _ = no_grad();
        var head = DraftHead.Create(new MedusaOptions { Layers = layers }, target);
        var generator = new Generator((ulong)layers);
        foreach (var (_, tensor) in head.Parameters) tensor.normal_(0, 0.05, generator);
        return head;
    }
}
