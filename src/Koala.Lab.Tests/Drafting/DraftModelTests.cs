using System.Globalization;
using System.Text.Json.Nodes;
using Koala.Lab.Checkpoints.Safetensors;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Drafting;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Targets;
using Koala.Lab.Tests.Decoding;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Drafting;

public sealed class DraftModelTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory, InlineData(1), InlineData(4), InlineData(7)]
    public void The_target_itself_is_always_correct(int length)
    {
        using var source = new DraftModel(ShippedModels.Mini, ShippedModels.Mini);
        foreach (var prompt in Golden.Prompts("koala-mini").Take(3))
        {
            var answer = DrafterDriver.AssertLossless(ShippedModels.Mini, source, prompt.Ids, 40, new ChainTree(length));
            Assert.NotEmpty(answer.Rounds);
            Assert.All(answer.Rounds, round => Assert.Equal((length, length), (round.Drafted, round.Accepted)));
        }
    }

    [Fact]
    public void The_target_itself_is_always_correct_for_a_batch_of_prompts()
    {
        using var source = new DraftModel(ShippedModels.Mini, ShippedModels.Mini);
        var answers = DrafterDriver.AssertLossless(ShippedModels.Mini, source,
            [.. Golden.Prompts("koala-mini").Select(p => p.Ids)], 30, new ChainTree(4));
        Assert.All(answers.SelectMany(a => a.Rounds), round => Assert.Equal((4, 4), (round.Drafted, round.Accepted)));
    }

    /// <summary>
    /// A model with four of the twelve layers is often wrong, so accepted and rejected candidates alternate in the
    /// draft model's cache.
    /// </summary>
    [Fact, Trait(PromptSample.Category, PromptSample.Sampled)]
    public void The_first_layers_of_mini_draft_for_it()
    {
        using var source = DraftModel.Load(FirstLayers(4), ShippedModels.Mini);
        Assert.Equal(4, source.Model.Config.Layers);
        var all = Golden.Prompts("koala-mini").Select(p => p.Ids).ToArray();
        int[][] prompts = [.. PromptSample.Spread(all, PromptSample.Count(all.Length, 4))];
        var one = prompts.Select(prompt =>
            DrafterDriver.AssertLossless(ShippedModels.Mini, source, prompt, 40, new ChainTree(3)))
            .ToArray();
        var rounds = one.SelectMany(a => a.Rounds).ToArray();
        Assert.Contains(rounds, r => r.Accepted == 0);
        Assert.Contains(rounds, r => r.Accepted > 0);

        var together = DrafterDriver.AssertLossless(ShippedModels.Mini, source, prompts, 40, new ChainTree(3));
        Assert.Equal(one.Select(a => a.Rounds.Select(r => r.Accepted)), together.Select(a => a.Rounds.Select(r => r.Accepted)));
    }

    /// <summary>
    /// The draft model's cache, which keeps accepted tokens, gives the same logits as a new pass over the same tokens.
    /// </summary>
    [Fact]
    public void It_drafts_what_a_fresh_pass_over_the_same_tokens_would_draft()
    {
        using var source = DraftModel.Load(FirstLayers(4), ShippedModels.Mini);
        var prompt = Golden.Prompts("koala-mini")[1].Ids;
        using var decoder = new SpeculativeDecoder(ShippedModels.Mini, source) { ChooseDraftLength = false };
        var answer = decoder.Generate(prompt, new GenerationOptions { MaxTokens = 40, DraftLength = 3, FullTrace = true });
        List<int> text = [.. prompt, answer.Tokens[0]];
        foreach (var round in answer.Rounds)
        {
            Assert.Equal(Tests.Decoding.PlainDecoding.Greedy(source.Model, text, 3), round.Candidates!.Select(c => c.Token));
            text.AddRange([.. round.Candidates!.Where(c => c.Accepted).Select(c => c.Token), round.Bonus!.Token]);
        }
    }

    [Fact]
    public void Its_trees_change_nothing_and_gain_more_than_their_first_branch()
    {
        using var source = DraftModel.Load(FirstLayers(4), ShippedModels.Mini);
        int[][] prompts = [.. Golden.Prompts("koala-mini").Select(p => p.Ids).Take(3)];
        double Length(DraftTree tree) =>
            new DecodingTrace([.. DrafterDriver.AssertLossless(ShippedModels.Mini, source, prompts, 30, tree)
                .SelectMany(a => a.Rounds)]).AcceptanceLength;
        var chain = Length(new ChainTree(5));
        Assert.True(Length(StaticTree.Find("eagle-1")) > chain);
        Assert.True(Length(new DynamicTree { Tokens = 40, Levels = 5, TopK = 5 }) > chain);
    }

    [Fact]
    public void A_tree_is_drafted_level_by_level()
    {
        using var source = new DraftModel(ShippedModels.Mini, ShippedModels.Mini);
        using var drafter = (LevelDrafter)source.NewDrafter(ShippedModels.Mini, 1, 200);
        var prompt = Golden.Prompts("koala-mini")[0].Ids;
        drafter.Extend(null!, [prompt]);
        using var scope = NewDisposeScope();
        Close(prompt, drafter.First()[0]);
        var level = drafter.Next([[5, 6]], [[0, 0]]);
        Close([.. prompt, 5], level[0]);
        Close([.. prompt, 6], level[1]);
        level = drafter.Next([[7, 8, 9]], [[1, 0, 1]]);
        Close([.. prompt, 6, 7], level[0]);
        Close([.. prompt, 5, 8], level[1]);
        Close([.. prompt, 6, 9], level[2]);

        // Tokens 6 and 9 were accepted: they stay in the cache, and the next draft continues from there.
        drafter.Extend(null!, [[prompt[^1], 6, 9, 11]]);
        Close([.. prompt, 6, 9, 11], drafter.First()[0]);
        Close([.. prompt, 6, 9, 11, 12], drafter.Next([[12]], [[0]])[0]);
    }

    [Fact]
    public void An_answer_that_fills_the_context_ends_at_its_last_token()
    {
        using var source = new DraftModel(ShippedModels.Nano, ShippedModels.Nano);
        var context = ShippedModels.Nano.Config.ContextLength;
        int[] prompt = [.. Enumerable.Repeat(Golden.Prompts("koala-nano")[0].Ids, 60)
            .SelectMany(ids => ids)
            .Take(context - 20)];
        var answer = DrafterDriver.AssertLossless(ShippedModels.Nano, source, prompt, 100, new ChainTree(6));
        Assert.InRange(answer.Tokens.Count, 1, 20);
    }

    [Fact]
    public void Rounds_leave_no_tensor_behind()
    {
        var live = DisposeScopeManager.Statistics.TensorStatistics;
        var prompt = Golden.Prompts("koala-nano")[0].Ids;
        using var source = new DraftModel(ShippedModels.Nano, ShippedModels.Nano);
        using var decoder = new SpeculativeDecoder(ShippedModels.Nano, source) { ChooseDraftLength = false };
        decoder.Generate(prompt, new GenerationOptions { MaxTokens = 100 });
        var before = live.ThreadTotalLiveCount;
        var counts = new List<long>();
        decoder.Generate(prompt, new GenerationOptions { MaxTokens = 100, DraftLength = 2 },
            _ => counts.Add(live.ThreadTotalLiveCount));
        Assert.Equal(before, live.ThreadTotalLiveCount);
        Assert.InRange(counts[^1] - counts[1], 0, 2);
    }

    [Fact]
    public void A_loaded_model_is_freed()
    {
        var live = DisposeScopeManager.Statistics.TensorStatistics;
        var path = FirstLayers(1);
        _ = ShippedModels.Mini;
        var before = live.ThreadTotalLiveCount;
        DraftModel.Load(path, ShippedModels.Mini).Dispose();
        Assert.Equal(before, live.ThreadTotalLiveCount);
        Assert.Throws<KoalaException>(() => DraftModel.Load(ShippedModels.Folder("koala-nano"), ShippedModels.Mini));
        Assert.Equal(before, live.ThreadTotalLiveCount);
    }

    [Fact]
    public void A_model_of_another_vocabulary_is_refused_with_both_named()
    {
        var e = Assert.Throws<KoalaException>(() => new DraftModel(ShippedModels.Nano, ShippedModels.Mini));
        Assert.Contains("the vocabularies differ: token ", e.Message, StringComparison.Ordinal);
        Assert.Contains(" in koala-nano and ", e.Message, StringComparison.Ordinal);
        Assert.Contains(" in koala-mini", e.Message, StringComparison.Ordinal);

        // The vocabulary is as large, but two tokens are swapped.
        var folder = FirstLayers(1);
        var file = Path.Combine(folder, "tokenizer.json");
        var json = JsonNode.Parse(File.ReadAllText(file))!;
        var vocabulary = json["model"]!["vocab"]!.AsObject();
        var (one, other) = (vocabulary.First(t => (int)t.Value! == 4000).Key, vocabulary.First(t => (int)t.Value! == 4001).Key);
        (vocabulary[one], vocabulary[other]) = (4001, 4000);
        File.WriteAllText(file, json.ToJsonString());
        Assert.Contains("token 4000 is",
            Assert.Throws<KoalaException>(() => DraftModel.Load(folder, ShippedModels.Mini)).Message,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, 8)]
    [InlineData(8, 0)]
    [InlineData(4, 20)]
    public void A_model_whose_embedding_is_padded_differently_drafts_only_tokens_of_both(int ofModel, int ofTarget)
    {
        using var target = Target.Load(Padded("target", ofTarget));
        using var source = DraftModel.Load(Padded("model", ofModel), target);
        var prompt = Golden.Prompts("koala-nano")[0].Ids;
        foreach (var temperature in (double[])[0, 1.2])
        {
            using var plain = new SpeculativeDecoder(target);
            using var decoder = new SpeculativeDecoder(target, source) { ChooseDraftLength = false };
            var options = new GenerationOptions { MaxTokens = 60, Temperature = temperature, DraftLength = 3, FullTrace = true, Seed = 4 };
            var answer = decoder.Generate(prompt, options);
            var candidates = answer.Rounds.SelectMany(round => round.Candidates!).ToArray();
            Assert.All(candidates, candidate => Assert.InRange(candidate.Token, 0, 511 + Math.Min(ofModel, ofTarget)));
            // The model is the target itself with other padding. What both have, it drafts with the target's own probabilities.
            Assert.Contains(candidates, candidate => candidate.Accepted);
            if (temperature == 0) Assert.Equal(plain.Generate(prompt, options with { DraftLength = null }).Tokens, answer.Tokens);
        }
    }

    [Fact]
    public void A_drafted_token_is_drawn_from_the_distribution_over_the_tokens_that_both_have()
    {
        using var scope = NewDisposeScope();
        using var target = Target.Load(Padded("target", 4));
        using var source = DraftModel.Load(Padded("model", 20), target);
        using var drafter = (LevelDrafter)source.NewDrafter(target, 1, 100);
        var prompt = Golden.Prompts("koala-nano")[0].Ids;
        drafter.Extend(null!, [prompt]);
        var logits = drafter.First();
        using var cache = source.Model.NewCache();
        var own = source.Model.Logits(source.Model.Append(cache, [.. prompt])[-1]);
        Assert.Equal([1, 516], logits.shape);
        Assert.True(logits[0].allclose(own.narrow(0, 0, 516), rtol: 1e-4, atol: 1e-4));
    }

    /// <summary>Padding that the target samples but the model cannot draft is drawn all the same, as often as the target says.</summary>
    [Theory, InlineData(20, 4), InlineData(4, 20)]
    public void With_a_model_that_is_padded_differently_answers_have_the_targets_distribution(int ofModel, int ofTarget)
    {
        var options = new GenerationOptions { Temperature = 1.3, TopK = 8, MaxTokens = 3, DraftLength = 2 };
        var prompt = Golden.Prompts("koala-nano")[0].Ids;
        // The last rows of padding are copies of a likely second token and of those after it.
        var own = SampledAnswers.Distribution(ShippedModels.Nano, prompt, options with { MaxTokens = 2 }, 2);
        var likely = int.Parse(own.MaxBy(answer => answer.Value).Key.Split(' ')[1], CultureInfo.InvariantCulture);
        using var target = Target.Load(Padded("target", ofTarget, likely - ofModel));
        using var source = DraftModel.Load(Padded("model", ofModel, likely - ofModel), target);
        using var decoder = new SpeculativeDecoder(target, source) { ChooseDraftLength = false };

        var expected = SampledAnswers.Distribution(target, prompt, options, 3);
        Assert.InRange(SampledAnswers.AssertDistribution(decoder, prompt, options, expected), 100, int.MaxValue);
        if (ofTarget > ofModel) Assert.InRange(OfPadding(expected), 0.02, 1);

        double OfPadding(Dictionary<string, double> answers) => answers.Where(answer =>
            answer.Key.Split(' ').Skip(1).Any(token => int.Parse(token, CultureInfo.InvariantCulture) >= 512 + ofModel)).Sum(a => a.Value);
    }

    [Fact]
    public void A_model_whose_context_is_too_short_is_refused()
    {
        var folder = FirstLayers(1);
        var file = Path.Combine(folder, "config.json");
        File.WriteAllText(file,
            File.ReadAllText(file)
                .Replace("\"max_position_embeddings\": 1024", "\"max_position_embeddings\": 64",
                    StringComparison.Ordinal));
        using var source = DraftModel.Load(folder, ShippedModels.Mini);
        source.NewDrafter(ShippedModels.Mini, 1, 64).Dispose();
        Assert.Contains("context of 64",
            Assert.Throws<KoalaException>(() => source.NewDrafter(ShippedModels.Mini, 1, 65)).Message,
            StringComparison.Ordinal);
    }

    // koala-nano with more rows in its embedding than its tokenizer has tokens. These rows are some of its own, scaled up, so that
    // padding is often the best token.
    private string Padded(string name, int rows, int first = 100) =>
        ChangedModel.Copy(_folder.At(name), config => config["vocab_size"] = 512 + rows, own =>
        {
            var embedding = own["model.embed_tokens.weight"];
            var padded = rows == 0 ? embedding : cat([embedding, embedding.narrow(0, first, rows) * 1.5], 0);
            return own.With("model.embed_tokens.weight", padded);
        });

    private static void Close(int[] text, Tensor logits)
    {
        using var scope = NewDisposeScope();
        using var cache = ShippedModels.Mini.NewCache();
        var expected = ShippedModels.Mini.Logits(ShippedModels.Mini.Append(cache, [.. text])[-1]);
        var config = ShippedModels.Mini.Config;
        Tolerance.AssertClose(expected, logits, Tolerance.Roundings(config, config.Layers, text.Length, 2 * config.HiddenSize));
    }

    // koala-mini with fewer layers, in a separate folder.
    private string FirstLayers(int layers)
    {
        using var scope = NewDisposeScope();
        var (from, to) = (ShippedModels.Folder("koala-mini"), _folder.At($"mini-{layers}"));
        Directory.CreateDirectory(to);
        foreach (var file in Directory.GetFiles(from, "*.json*")) File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
        foreach (var file in Directory.GetFiles(from, "*.jinja")) File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
        var config = JsonNode.Parse(File.ReadAllText(Path.Combine(from, "config.json")))!;
        config["num_hidden_layers"] = layers;
        File.WriteAllText(Path.Combine(to, "config.json"), config.ToJsonString(new() { WriteIndented = true }));
        using var source = SafetensorsFile.Open(Path.Combine(from, "model.safetensors"));
        SafetensorsWriter.Write(Path.Combine(to, "model.safetensors"), [.. source.Tensors.Keys
            .Where(name => !name.StartsWith("model.layers.", StringComparison.Ordinal)
                || int.Parse(name.Split('.')[2]) < layers)
            .Select(name => KeyValuePair.Create(name, source.Read(name, ScalarType.BFloat16, CPU)))]);
        return to;
    }
}
