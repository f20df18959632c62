using Koala.Lab.Decoding;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Tests.Decoding;
using Koala.Lab.Tests.Training;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Heads;

/// <summary>Medusa heads whose logits depend on the token before.</summary>
public sealed class MarkovBiasTests
{
    private static readonly MedusaOptions s_options = new() { Heads = 3, MarkovRank = 8 };

    [Fact]
    public void A_new_bias_is_zero_and_a_saved_one_is_read_again()
    {
        using var scope = NewDisposeScope();
        using var head = DraftHead.Create(s_options, ShippedModels.Nano, seed: 3);
        using var without = DraftHead.Create(s_options with { MarkovRank = 0 }, ShippedModels.Nano);
        using var batch = TinyModels.Batch(TinyModels.Data.Rows[0]);
        foreach (var (a, b) in head.Predict(batch, ShippedModels.Nano).Zip(without.Predict(batch, ShippedModels.Nano)))
            Assert.Equal(TinyModels.Doubles(b.Logits), TinyModels.Doubles(a.Logits));

        using var folder = new TemporaryFolder();
        using var random = Random();
        random.Save(folder.At("head"), "card");
        using var read = DraftHead.Load(folder.At("head"), ShippedModels.Nano);
        Assert.Equal(s_options, read.Options);
        TinyModels.AssertSame(random, read);
        using var first = random.FirstLayers(1, ShippedModels.Nano);
        TinyModels.AssertSame(random, first);
    }

    /// <summary>What a head is trained on is what it drafts from: the same logits after the same tokens.</summary>
    [Fact]
    public void Drafting_after_the_texts_tokens_gives_the_logits_of_training()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = Random();
        var target = ShippedModels.Nano;
        var row = TinyModels.Data.Rows[1];
        using var batch = TinyModels.Batch(row);
        var outputs = head.Predict(batch, target);
        var position = (int)(outputs[2].TargetPositions[4].item<long>() - 3);   // where the chain of the third head starts
        Tensor Trained(int depth)
        {
            var positions = outputs[depth].TargetPositions.data<long>().ToArray();
            return outputs[depth].Logits[Array.IndexOf(positions, position + 1 + depth)];
        }
        using var drafter = (LevelDrafter)head.NewDrafter(target, 1, 64);
        drafter.Extend(batch.Features.narrow(0, position, 1).unsqueeze(0), [row.Tokens[position..(position + 2)]]);
        AssertClose(Trained(0), drafter.First()[0]);
        // The text's token, and another one beside it.
        for (var depth = 1; depth < 3; depth++)
        {
            var token = row.Tokens[position + 1 + depth];
            var logits = drafter.Next([[(token + 1) % 512, token]], [[0, 1]]);
            Assert.Equal([2, 512], logits.shape);
            AssertClose(Trained(depth), logits[1]);
            Assert.True((logits[0] - logits[1]).abs().max().item<float>() > 0.1);
        }
    }

    [Fact]
    public void The_greedy_chain_takes_the_best_token_after_each_best_token()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = Random();
        using var generator = new Generator(2, CPU);
        using var drafter = (LevelDrafter)head.NewDrafter(ShippedModels.Nano, 2, 64);
        drafter.Extend(randn(2, 1, 64, generator: generator), [[5, 9], [7, 11]]);
        var chain = drafter.GreedyChain(3)!;
        var logits = drafter.First();
        for (var depth = 0; depth < 3; depth++)
        {
            int[] best = [.. logits.argmax(-1).data<long>().Select(token => (int)token)];
            Assert.Equal(best, chain.select(1, depth).data<long>().Select(token => (int)token));
            if (depth < 2) logits = drafter.Next([[best[0]], [best[1]]], [[0], [0]]);
        }
    }

    [Fact]
    public void Greedy_answers_are_the_targets_own_with_chains_trees_and_batches()
    {
        using var random = Random();
        using var trained = TinyModels.Train(TinyModels.Options with { Steps = 60, LearningRate = 1e-2, ValidateEvery = 1000 }, s_options);
        int[][] prompts = [.. PlainDecoding.MtBench(ShippedModels.Nano, 5).Where(p => p.Length < 100)];
        Assert.NotEmpty(prompts);
        var expected = prompts.Select(prompt => PlainDecoding.Answer(ShippedModels.Nano, prompt, 40)).ToArray();
        foreach (var head in (DraftHead[])[random, trained])
        {
            using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
            GenerationOptions chain = new() { MaxTokens = 40, DraftLength = 3 };
            var tree = chain with { DraftLength = null, Tree = new DynamicTree { Tokens = 9, Levels = 3, TopK = 3 } };
            foreach (var options in (GenerationOptions[])[chain, tree])
                Assert.Equal(expected, decoder.GenerateAll(prompts, options).Select(answer => answer.Tokens.ToArray()));
            if (head == trained) Assert.True(decoder.Trace.AcceptanceLength > 1);
        }
    }

    /// <summary>
    /// With chains, whose tokens are drawn one after another from distributions with the bias of the token before, and with trees.
    /// </summary>
    [Theory, InlineData(false), InlineData(true)]
    public void Sampled_answers_have_the_targets_distribution(bool tree)
    {
        using var head = TinyModels.Train(
            TinyModels.Options with { Steps = 60, LearningRate = 1e-2, ValidateEvery = 1000, ValidationAnswers = 0 }, s_options);
        using (var _ = no_grad()) Assert.True(head.Parameters["markov.after"].abs().max().item<float>() > 0.01);
        var options = new GenerationOptions
        {
            Temperature = 1, TopK = 3, MaxTokens = 3,
            DraftLength = tree ? null : 2,
            Tree = tree ? new DynamicTree { Tokens = 6, Levels = 2, TopK = 2 } : null,
        };
        var prompt = Golden.Prompts("koala-nano")[0].Ids;
        var expected = SampledAnswers.Distribution(ShippedModels.Nano, prompt, options, 3);
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, head) { ChooseDraftLength = false };
        var accepted = SampledAnswers.AssertDistribution(decoder, prompt, options, expected);
        Assert.InRange(accepted, 50, int.MaxValue);   // otherwise nothing was tested
    }

    [Fact]
    public void The_bias_learns_pairs_of_tokens()
    {
        double Loss(MedusaOptions head)
        {
            var losses = new List<double>();
            using var trained = TinyModels.Train(
                TinyModels.Options with { Steps = 60, LearningRate = 1e-2, ValidateEvery = 1000, ValidationAnswers = 0 }, head,
                line => losses.Add(line.LossByDepth[1]));
            return losses.TakeLast(10).Average();
        }
        var (with, without) = (Loss(s_options), Loss(s_options with { MarkovRank = 0 }));
        Assert.True(with < without, $"{with} with, {without} without");
        Assert.Equal("markovRank", Assert.Throws<KoalaException>(new MedusaOptions { MarkovRank = -1 }.Validate).Where);
    }

    private static DraftHead Random()
    {
        var head = DraftHead.Create(s_options, ShippedModels.Nano, seed: 3);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var generator = new Generator(9, CPU);
        foreach (var (_, value) in head.Parameters) value.copy_(randn(value.shape, generator: generator) * 0.3);
        return head;
    }

    private static void AssertClose(Tensor expected, Tensor actual)
    {
        var size = expected.abs().max().item<float>();
        foreach (var (e, a) in TinyModels.Doubles(expected).Zip(TinyModels.Doubles(actual)))
            Tolerance.AssertClose(e, a, 4 * 64 + 8, size);
    }
}
