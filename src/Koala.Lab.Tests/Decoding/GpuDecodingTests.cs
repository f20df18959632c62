using Koala.Lab.Decoding;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Heads;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Decoding;

/// <summary>On a GPU, where rounds are replayed CUDA graphs, answers equal those of a CPU.</summary>
public sealed class GpuDecodingTests
{
    public static TheoryData<string, DraftTree, int> Settings => new(
        ("koala-nano-eagle-k2", new ChainTree(5), 1),
        ("koala-nano-eagle-k2", new ChainTree(5), 3),
        ("koala-nano-eagle-k1", new DynamicTree { Tokens = 20, Levels = 4, TopK = 4 }, 1),
        ("koala-nano-eagle-k1", StaticTree.Find("eagle-1"), 3),
        ("koala-nano-medusa-k2", StaticTree.Find("mc_sim_7b_63"), 1),
        ("koala-nano-medusa-k2", new ChainTree(4), 1),
        ("koala-nano-medusa-k2", new ChainTree(4), 3));

    [Theory, MemberData(nameof(Settings))]
    public void Answers_are_those_of_a_cpu(string head, DraftTree tree, int batch)
    {
        Assert.SkipUnless(cuda.is_available(), "needs a GPU");
        using var target = Target.Load(ShippedModels.Folder("koala-nano"), "fp32", "cuda");
        using var source = DraftHead.Load(ShippedModels.Folder(head), target);
        using var decoder = new SpeculativeDecoder(target, source) { ChooseDraftLength = false };
        using var baseline = new SpeculativeDecoder(ShippedModels.Nano);
        string[] questions = ["What is a koala?", "Name three colours.", "Why is the sky blue?", "Tell me a story.",
            "How do I boil an egg?", "What is two and two?"];
        var prompts = questions.Select(q => ShippedModels.Nano.Tokenizer.EncodeChat([new("user", q)])).ToArray();
        var options = new GenerationOptions { MaxTokens = 60 };
        // The answer is generated twice: the second time every graph is replayed on the memory of the first.
        for (var time = 0; time < 2; time++)
        {
            foreach (var group in prompts.Chunk(batch))
            {
                var answers = decoder.GenerateAll(group, options with { Tree = tree });
                Assert.Equal(group.Select(prompt => baseline.Generate(prompt, options).Tokens),
                    answers.Select(answer => answer.Tokens));
            }
        }
    }
}
