using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Koala.Lab.Data;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Targets;
using Koala.Lab.Text.Chat;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Decoding;

/// <summary>The answers that the decoder is compared with, computed without it, and prompts to try.</summary>
internal static class PlainDecoding
{
    private static readonly ConditionalWeakTable<Target, ConcurrentDictionary<string, int[]>> s_greedy = [];

    /// <summary>
    /// The target's best tokens one after another, in steps of one token, also beyond the end of the answer.
    /// </summary>
    /// <remarks>
    /// The tokens are computed once for each target, prompt and count, because many tests compare with the same
    /// answers.
    /// </remarks>
    public static int[] Greedy(Target target, IReadOnlyList<int> prompt, int count)
    {
        var known = s_greedy.GetOrCreateValue(target);
        return [.. known.GetOrAdd($"{count}: {string.Join(' ', prompt)}", _ => StepByStep(target, prompt, count))];
    }

    private static int[] StepByStep(Target target, IReadOnlyList<int> prompt, int count)
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

    /// <summary>The greedy answer up to and including the end-of-sequence token.</summary>
    public static int[] Answer(Target target, IReadOnlyList<int> prompt, int count)
    {
        var tokens = Greedy(target, prompt, count);
        var end = Array.FindIndex(tokens, target.Config.EndOfSequenceIds.Contains);
        return end < 0 ? tokens : tokens[..(end + 1)];
    }

    public static IEnumerable<int[]> MtBench(Target target, int count) =>
        Prompts.Load(TestFiles.At("data", "mt-bench.jsonl"), count)
        .Select(p => target.Tokenizer.EncodeChat([new Message("user", p.Turns[0])]).ToArray());

    /// <summary>
    /// The recorded prompts, and the questions of MT-Bench that leave room for an answer; `dotnet test` takes only some
    /// of them.
    /// </summary>
    /// <param name="target">The target.</param>
    /// <param name="few">The number of prompts in `dotnet test`.</param>
    /// <param name="questions">The number of MT-Bench questions in docs/thorough.sh.</param>
    /// <param name="below">The upper bound of the number of tokens per prompt, exclusive.</param>
    public static IReadOnlyList<int[]> Sample(Target target, int few, int questions, int below)
    {
        int[][] all = [.. Golden.Prompts(target.Name).Select(p => p.Ids),
            .. MtBench(target, questions).Where(p => p.Length < below)];
        return PromptSample.Spread(all, PromptSample.Count(all.Length, few));
    }

    /// <summary>The recorded random K=2 head on koala-nano.</summary>
    public static DraftHead RecordedHead()
    {
        using var file = Golden.Open("heads-koala-nano", "medusa-k2.safetensors");
        return MedusaStateDict.Read(file, new MedusaOptions { Layers = 2, OwnLmHeads = true },
            ShippedModels.Nano.Identity, ScalarType.Float32, CPU);
    }

    /// <summary>A head of K layers with small random weights, so that every layer has an effect.</summary>
    public static DraftHead RandomHead(Target target, int layers)
    {
        using var _ = no_grad();
        var head = DraftHead.Create(new MedusaOptions { Layers = layers }, target);
        var generator = new Generator((ulong)layers);
        foreach (var (_, tensor) in head.Parameters) tensor.normal_(0, 0.05, generator);
        return head;
    }
}
