using Koala.Lab.Decoding;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Trees;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Decoding;

/// <summary>On a GPU, where rounds are recordings that are started again, answers are those of a CPU.</summary>
public sealed class GpuDecodingTests
{
    public static TheoryData<string, DraftShape, int> Settings => new(
        ("koala-nano-eagle-k2", new ChainShape(5), 1),
        ("koala-nano-eagle-k2", new ChainShape(5), 3),
        ("koala-nano-eagle-k1", new DynamicShape { Tokens = 20, Levels = 4, TopK = 4 }, 1),
        ("koala-nano-eagle-k1", StaticShape.Find("eagle-1"), 3),
        ("koala-nano-medusa-k2", StaticShape.Find("mc_sim_7b_63"), 1));

    [Theory, MemberData(nameof(Settings))]
    public void Answers_are_those_of_a_cpu(string head, DraftShape shape, int batch)
    {
        Assert.SkipUnless(cuda.is_available(), "needs a GPU");
        using var target = Target.Load(Shipped.Folder("koala-nano"), "fp32", "cuda");
        using var source = DraftHead.Load(Shipped.Folder(head), target);
        using var decoder = new SpeculativeDecoder(target, source);
        using var alone = new SpeculativeDecoder(Shipped.Nano);
        string[] questions = ["What is a koala?", "Name three colours.", "Why is the sky blue?", "Tell me a story.", "How do I boil an egg?", "What is two and two?"];
        var prompts = questions.Select(q => Shipped.Nano.Tokenizer.EncodeChat([new("user", q)])).ToArray();
        var options = new GenerationOptions { MaxTokens = 60 };
        // Twice, so that the second time everything is a recording of the first one's memory.
        for (var time = 0; time < 2; time++)
        {
            foreach (var group in prompts.Chunk(batch))
            {
                var answers = decoder.GenerateAll(group, options with { Tree = shape });
                Assert.Equal(group.Select(prompt => alone.Generate(prompt, options).Tokens), answers.Select(answer => answer.Tokens));
            }
        }
    }
}
