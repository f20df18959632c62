using Koala.Lab.Decoding;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Heads;
using Koala.Lab.Kernels;
using Koala.Lab.Targets;
using TorchSharp;

namespace Koala.Lab.Tests.Targets;

/// <summary>Rounds with a head and a tree keep the memory outside the garbage collector's heap as it is.</summary>
[Trait(PromptSample.Category, PromptSample.Sampled)]
public sealed class EngineMemoryTests
{
    [Theory]
    [InlineData("koala-nano-eagle-k2", 0.0, 10_000)]
    [InlineData("koala-nano-eagle-k2", 1.0, 1000)]
    [InlineData("koala-nano-medusa-k2", 0.0, 1000)]
    public void Live_bytes_and_tensors_stay_as_they_are_and_return_to_where_they_were(string name, double temperature, int many)
    {
        // Other tests may have left memory to the garbage collector.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        var before = Live;
        using (var target = Target.Load(ShippedModels.Folder("koala-nano")))
        using (var head = DraftHead.Load(ShippedModels.Folder(name), target))
        using (var decoder = new SpeculativeDecoder(target, head) { ChooseDraftLength = false })
        {
            var tree = new DynamicTree { Tokens = 16, TopK = 4 };
            var options = new GenerationOptions { MaxTokens = 100, Tree = tree, Temperature = temperature };
            int[][] prompts = [.. Golden.Prompts("koala-nano").Take(4).Select(prompt => prompt.Ids)];
            var rounds = 0;
            // Returns the figures of rounds, and asserts that every answer leaves what the one before it left.
            HashSet<long> Decode(int atLeast)
            {
                var bytes = new HashSet<long>();
                (long, long)? left = null;
                for (var (last, stream) = (rounds + atLeast, 0); rounds < last; stream++)
                {
                    foreach (var prompt in prompts)
                        rounds += decoder.Generate(prompt, options with { Stream = stream },
                            _ => bytes.Add(NativeBuffer.LiveBytes)).Rounds.Count;
                    if (stream > 0) Assert.Equal(left, Live);
                    left = Live;
                }
                return bytes;
            }

            Decode(1);   // makes room for these prompts
            var first = Decode(100);
            var warm = Live;
            Assert.True(warm.Bytes > before.Bytes && warm.Tensors > before.Tensors);
            var all = Decode(PromptSample.Count(many, 200));
            Assert.Equal(warm, Live);
            // A drafter makes room for its levels in each answer anew; greedy answers are the same ones again.
            if (temperature == 0) Assert.Equal(first, all);
        }
        Assert.Equal(before, Live);
    }

    private static (long Bytes, long Tensors) Live =>
        (NativeBuffer.LiveBytes, DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount);
}
