using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Heads;

/// <summary>EAGLE heads in kernels of our own on a GPU: they draft what libtorch drafts, up to the rounding of bf16.</summary>
public sealed class FusedEagleTests
{
    private const int Context = 90;

    public static TheoryData<EagleOptions> Heads => new(
        new EagleOptions(),
        new EagleOptions { Layers = 2, Bias = true },
        new EagleOptions { Layers = 3, DraftVocabulary = 1000 },
        new EagleOptions { FusedFeatures = true },
        new EagleOptions { FusedFeatures = true, Layers = 2, NormBeforeResidual = true, OwnLmHead = true, DraftVocabulary = 500 },
        new EagleOptions { FusedFeatures = true, NormOutput = true, FeatureNorms = true });

    [Theory, MemberData(nameof(Heads))]
    public void Logits_are_those_of_libtorch_up_to_the_rounding_of_bf16(EagleOptions options)
    {
        using var target = Load();
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = RandomHead(options, target);
        int[][] texts = [Text(1, Context, target), Text(2, Context, target)];
        foreach (var batch in (int[])[1, 2])
        {
            using var cache = target.NewCache(batch, Context);
            var features = target.Prefill(cache, [.. texts.Take(batch).Select(text => text[..^1])], head.FeatureLayers).Features;
            var logits = new List<Tensor>[2];
            for (var own = 0; own < 2; own++)
            {
                using LevelDrafter drafter = own == 1 ? NewDrafter(head, target, batch) : head.NewTensorDrafter(target, batch, 200);
                logits[own] = Draft(drafter, features, texts[..batch]);
            }
            for (var i = 0; i < logits[0].Count; i++)
            {
                var (expected, actual) = (logits[0][i].to(ScalarType.Float32), logits[1][i].to(ScalarType.Float32));
                Assert.Equal(expected.shape, actual.shape);
                Assert.InRange(((actual - expected).square().mean().sqrt() / expected.std()).item<float>(), 0, 0.08);
            }
        }
    }

    [Theory, MemberData(nameof(Heads))]
    public void A_forgotten_sequence_begins_with_another_text_while_the_others_are_left_alone(EagleOptions options)
    {
        const int Length = 5;
        using var target = Load();
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = RandomHead(options, target);
        int[][] texts = [Text(3, 20, target), Text(4, Context, target), Text(5, 30, target), Text(6, 24, target)];
        Tensor Features(int[] text)
        {
            using var cache = target.NewCache(1, Context);
            return target.Prefill(cache, [text[..^1]], head.FeatureLayers).Features;      // [1,T,F]
        }
        Tensor[] features = [.. texts.Select(Features)];
        Tensor Padded(params int[] of)
        {
            var longest = of.Max(i => features[i].shape[1]);
            return cat([.. of.Select(i => nn.functional.pad(features[i], [0, 0, 0, longest - features[i].shape[1]]))], 0);
        }
        long[][] alone = [.. texts.Select((text, i) => Chain(1, drafter => drafter.Extend(features[i], [text])))];
        // Rounds before and after the draft: what waits to be read, and what was read.
        foreach (var drafts in (bool[])[false, true])
        {
            var together = Chain(3, drafter =>
            {
                drafter.Extend(Padded(0, 1, 2), texts[..3]);
                if (drafts) drafter.GreedyChain(Length);
                drafter.Forget(0);
                drafter.Extend(Padded(3, 3, 3), [texts[3], [], []]);
            });
            Assert.Equal([.. alone[3], .. alone[1], .. alone[2]], together);
        }

        long[] Chain(int batch, Action<EagleFusedDrafter> extend)
        {
            using var drafter = NewDrafter(head, target, batch);
            extend(drafter);
            return drafter.GreedyChain(Length).data<long>().ToArray();
        }
    }

    [Theory, MemberData(nameof(Heads))]
    public void A_chain_is_drafted_as_its_levels_one_by_one(EagleOptions options)
    {
        const int Length = 6;
        using var target = Load();
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = RandomHead(options, target);
        int[][] texts = [Text(3, Context, target), Text(4, Context, target), Text(5, Context, target)];
        foreach (var batch in (int[])[1, 3])
        {
            using var cache = target.NewCache(batch, Context);
            var features = target.Prefill(cache, [.. texts.Take(batch).Select(text => text[..^1])], head.FeatureLayers).Features;
            using var drafter = NewDrafter(head, target, batch);
            drafter.Extend(features, texts[..batch]);
            // The shape is repeated, so that a captured chain is among those that are compared.
            for (var time = 0; time < 3; time++)
            {
                var chains = drafter.GreedyChain(Length).data<long>().ToArray();
                var logits = drafter.First();
                for (var depth = 0; depth < Length; depth++)
                {
                    var best = logits.view(batch, -1).argmax(-1).cpu().data<long>().ToArray();
                    int[][] tokens =
                        [.. best.Select(id => (int[])[drafter.Vocabulary is { } own ? own.Tokens[(int)id] : (int)id])];
                    var chosen = Enumerable.Range(0, batch).Select(b => chains[b * Length + depth]);
                    Assert.Equal(tokens.Select(token => (long)token[0]), chosen);
                    if (depth + 1 < Length) logits = drafter.Next(tokens, [.. tokens.Select(_ => (int[])[0])]);
                }
            }
        }
    }

    /// <summary>
    /// In a tree that the GPU plans each node's children are the best tokens of the logits after it, and those are expanded whose path is
    /// likeliest. Of equal logits the first counts.
    /// </summary>
    [Theory, MemberData(nameof(Heads))]
    public void A_tree_has_the_likeliest_nodes_of_each_level(EagleOptions options)
    {
        using var target = Load();
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = RandomHead(options, target);
        int[][] texts = [Text(3, Context, target), Text(4, Context, target), Text(5, Context, target)];
        // All nodes of these trees stay.
        DynamicTree[] trees =
        [
            new() { Tokens = 85, Levels = 6, TopK = 4 }, new() { Tokens = 211, Levels = 3, TopK = 10 },
            new() { Tokens = 17, Levels = 1, TopK = 16 }, new() { Tokens = 5, Levels = 4, TopK = 1 },
        ];
        foreach (var batch in (int[])[1, 3])
        {
            using var cache = target.NewCache(batch, Context);
            var features = target.Prefill(cache, [.. texts.Take(batch).Select(text => text[..^1])], head.FeatureLayers).Features;
            using var drafter = NewDrafter(head, target, batch);
            drafter.Extend(features, texts[..batch]);
            foreach (var tree in trees)
            {
                // The shape is repeated, so that a captured tree is among those that are compared.
                var drafts = drafter.LikeliestTrees(tree)!;
                for (var time = 0; time < 2; time++)
                {
                    var again = drafter.LikeliestTrees(tree)!;
                    Assert.All(drafts.Zip(again), pair => Assert.Equal(pair.First.Candidates, pair.Second.Candidates));
                }
                AssertLikeliest(drafts, tree, drafter);
                var count = Math.Max(tree.Nodes / 3, 1);
                var kept = drafter.LikeliestTrees(tree with { Tokens = count + 1 })!;
                for (var b = 0; b < batch; b++) AssertLikeliest(NodesOf(kept[b], drafts[b]), count, Scores(drafts[b]), 0, tree.Nodes);
            }
        }
    }

    /// <summary>A token is drafted with the same bits whether its siblings are there or not, and after a round that was rejected.</summary>
    [Fact]
    public void A_node_does_not_depend_on_the_others_of_its_level()
    {
        using var target = Load();
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = RandomHead(new EagleOptions { Layers = 2 }, target);
        int[][] texts = [Text(6, Context, target)];
        using var cache = target.NewCache(1, Context);
        var features = target.Prefill(cache, [texts[0][..^1]], []).Features;
        using var drafter = NewDrafter(head, target, 1);
        drafter.Extend(features, texts);
        drafter.First();
        drafter.Next([[10, 20, 30]], [[0, 0, 0]]);
        var many = drafter.Next([[7, 8, 9, 11]], [[0, 1, 1, 2]])[2].clone();
        drafter.First();
        drafter.Next([[20]], [[0]]);
        var alone = drafter.Next([[9]], [[0]])[0];
        Assert.True(many.equal(alone).all().item<bool>());
    }

    /// <summary>Logits that are not finite are said, in a chain too, and never drafted from.</summary>
    [Fact]
    public void Broken_weights_are_said()
    {
        using var target = Load();
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = RandomHead(new EagleOptions(), target);
        using var cache = target.NewCache(1, Context);
        int[][] texts = [Text(6, Context, target)];
        var features = target.Prefill(cache, [texts[0][..^1]], []).Features;
        head.Parameters.Single(x => x.Key == "layers.0.down").Value[3, 5] = float.NaN;
        using var drafter = NewDrafter(head, target, 1);
        drafter.Extend(features, texts);
        Assert.Throws<KoalaException>(() => drafter.GreedyChain(3));
        Assert.Throws<KoalaException>(() => drafter.LikeliestTrees(new DynamicTree { Tokens = 8, Levels = 3, TopK = 4 }));
    }

    /// <summary>Kernels and captured graphs read the weights of one target, so each target has its own.</summary>
    [Fact]
    public void A_head_serves_targets_that_come_and_go()
    {
        using var first = Load();
        using var head = RandomHead(new EagleOptions(), first);
        long[] Chain(Target target)
        {
            using var scope = NewDisposeScope();
            using var _ = no_grad();
            using var cache = target.NewCache(1, Context);
            int[][] texts = [Text(8, Context, target)];
            var features = target.Prefill(cache, [texts[0][..^1]], []).Features;
            using var drafter = NewDrafter(head, target, 1);
            drafter.Extend(features, texts);
            for (var time = 0; time < 2; time++) drafter.GreedyChain(6);
            return drafter.GreedyChain(6).data<long>().ToArray();
        }
        var expected = Chain(first);
        for (var time = 0; time < 2; time++)
        {
            using var other = Load();
            Assert.Equal(expected, Chain(other));
        }
        Assert.Equal(expected, Chain(first));
    }

    [Fact]
    public void Rounds_leave_no_tensor()
    {
        using var target = Load();
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var head = RandomHead(new EagleOptions { FusedFeatures = true }, target);
        using var cache = target.NewCache(1, Context);
        int[][] texts = [Text(6, Context, target)];
        var features = target.Prefill(cache, [texts[0][..^1]], head.FeatureLayers).Features;
        using var drafter = NewDrafter(head, target, 1);
        drafter.Extend(features, texts);
        void Rounds(int count)
        {
            for (var i = 0; i < count; i++)
            {
                using var inner = NewDisposeScope();
                drafter.GreedyChain(5);
                drafter.LikeliestTrees(new DynamicTree { Tokens = 16, Levels = 4, TopK = 4 });
                drafter.First();
                drafter.Next([[5, 6]], [[0, 0]]);
            }
        }
        Rounds(3);
        var tensors = Tensor.TotalCount;
        Rounds(20);
        Assert.Equal(tensors, Tensor.TotalCount);
    }

    // A prompt, then rounds of a few pairs, each followed by two levels of a tree. Returns all logits.
    private static List<Tensor> Draft(LevelDrafter drafter, Tensor features, int[][] texts)
    {
        var all = new List<Tensor>();
        int[] ends = [70, 73, 81, Context - 1];   // the prompts of two sequences take more than one launch
        for (var round = 0; round < ends.Length; round++)
        {
            var (from, to) = (round == 0 ? 0 : ends[round - 1], ends[round]);
            drafter.Extend(features.narrow(1, from, to - from), [.. texts.Select(text => text[from..(to + 1)])]);
            all.Add(drafter.First().clone());
            all.Add(drafter.Next([.. texts.Select(_ => (int[])[40, 50, 60])], [.. texts.Select(_ => (int[])[0, 0, 0])]).clone());
            all.Add(drafter.Next([.. texts.Select(_ => (int[])[41, 51, 61])], [.. texts.Select(_ => (int[])[1, 0, 1])]).clone());
        }
        return all;
    }

    // Computes the logits of each level again and compares.
    private static void AssertLikeliest(IReadOnlyList<Draft> drafts, DynamicTree tree, EagleFusedDrafter drafter)
    {
        var (batch, top) = (drafts.Count, tree.TopK);
        var scores = drafts.Select(Scores).ToArray();
        var expanded = drafts.Select(_ => (int[])[-1]).ToArray();      // the parents of the level
        var places = drafts.Select(_ => (int[])[0]).ToArray();         // their places in the level before
        for (var (level, first) = (0, 0); level < tree.Levels; level++)
        {
            var width = expanded[0].Length;
            int TokenOf(int b, int node) => node < 0 ? 0 : drafts[b].Candidates[node].Token;
            int[][] tokens = [.. expanded.Select((nodes, b) => nodes.Select(node => TokenOf(b, node)).ToArray())];
            var logits = level == 0 ? drafter.First() : drafter.Next(tokens, places);
            var (logQ, ids) = logits.to(ScalarType.Float32).log_softmax(-1).sort(-1, descending: true, stable: true);
            var (values, order) = (logQ.cpu().data<float>().ToArray(), ids.cpu().data<long>().ToArray());
            var vocabulary = (int)logits.shape[1];
            for (var b = 0; b < batch; b++)
            {
                for (var i = 0; i < width * top; i++)
                {
                    var (candidate, best) = (drafts[b].Candidates[first + i], (b * width + i / top) * vocabulary + i % top);
                    var token = drafter.Vocabulary?.Tokens[(int)order[best]] ?? (int)order[best];
                    Assert.Equal((token, expanded[b][i / top]), (candidate.Token, candidate.Parent));
                    Assert.Equal(MathF.Exp(values[best]), candidate.Q!.Value, tolerance: 1e-4f);
                }
                if (level + 1 == tree.Levels) continue;
                int[] likeliest = [.. drafts[b].Candidates.Select(c => c.Parent).Where(parent => parent >= first).Distinct().Take(top)];
                AssertLikeliest(likeliest, top, scores[b], first, width * top);
                places[b] = [.. likeliest.Select(node => (node - first) / top)];
                expanded[b] = likeliest;
            }
            first += width * top;
        }
    }

    // The chosen nodes are in their order, and none of the others, from a node on, is likelier; scores may differ by their rounding.
    private static void AssertLikeliest(int[] chosen, int count, float[] scores, int first, int others)
    {
        Assert.Equal(count, chosen.Length);
        Assert.Equal(chosen.Order(), chosen);
        var least = chosen.Min(node => scores[node]);
        foreach (var node in Enumerable.Range(first, others).Except(chosen)) Assert.InRange(scores[node], float.MinValue, least + 1e-5f);
    }

    // The nodes of a draft among all nodes; siblings differ in their tokens.
    private static int[] NodesOf(Draft kept, Draft all)
    {
        var nodes = new int[kept.Candidates.Count];
        for (var i = 0; i < nodes.Length; i++)
        {
            var own = kept.Candidates[i];
            var parent = own.Parent < 0 ? -1 : nodes[own.Parent];
            nodes[i] = all.Candidates.ToList().FindIndex(c => c == own with { Parent = parent });
            Assert.InRange(nodes[i], 0, int.MaxValue);
        }
        return nodes;
    }

    // The sum of log-probabilities on the path of each node. The head's are numbers of 32 bits, and so are the sums.
    private static float[] Scores(Draft draft)
    {
        var scores = new float[draft.Candidates.Count];
        for (var i = 0; i < scores.Length; i++)
        {
            var (parent, q) = (draft.Candidates[i].Parent, MathF.Log(draft.Candidates[i].Q!.Value));
            scores[i] = q + (parent < 0 ? 0 : scores[parent]);
        }
        return scores;
    }

    private static EagleFusedDrafter NewDrafter(EagleHead head, Target target, int batch) =>
        Assert.IsType<EagleFusedDrafter>(head.NewDrafter(target, batch, 200));

    // Loaded, so that the weights have the target's dtype.
    private static EagleHead RandomHead(EagleOptions options, Target target)
    {
        using var made = EagleFixtures.Random(target, options);
        using var folder = new TemporaryFolder();
        made.Save(folder.Path, "");
        return (EagleHead)DraftHead.Load(folder.Path, target);
    }

    private static Target Load()
    {
        Assert.SkipUnless(cuda.is_available(), "needs a GPU");
        var target = Target.Load(ShippedModels.Folder("koala-mini"), "bf16", "cuda");
        if (target.Model.Fused is not null) return target;
        target.Dispose();
        Assert.Skip("needs NVRTC");
        return target;
    }

    private static int[] Text(int seed, int length, Target target)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, length).Select(_ => random.Next(3, target.Config.VocabularySize))];
    }
}
