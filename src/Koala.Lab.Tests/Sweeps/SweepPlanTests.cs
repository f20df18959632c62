using System.Text.Json.Nodes;
using Koala.Lab.Drafting.Trees;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Sweeps;

namespace Koala.Lab.Tests.Sweeps;

/// <summary>Plans become cells; what is wrong in a plan is named with its place and the nearest known word.</summary>
public sealed class SweepPlanTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Cells_are_the_points_of_the_grid_in_order()
    {
        var plan = Fields.With("grid", """{"layers": [1, 2], "adversary": {"weight": [0, 0.1]}, "seed": "3-5"}""").Read();
        Assert.Equal(12, plan.Cells.Count);
        Assert.Equal(
            ["layers-1_adversary.weight-0_seed-3", "layers-1_adversary.weight-0_seed-4", "layers-1_adversary.weight-0_seed-5",
                "layers-1_adversary.weight-0.1_seed-3"],
            plan.Cells.Take(4).Select(cell => cell.Name));
        Assert.Equal([(1, 0.0, 3), (2, 0.1, 5)], ((SweepCell[])[plan.Cells[0], plan.Cells[^1]]).Select(cell =>
            (cell.Request.Head.Layers, cell.Request.Training.Adversary.Weight, cell.Request.Training.Seed)));
        Assert.All(plan.Cells, cell => Assert.Equal((6, 64, 2),
            (cell.Request.Training.Steps, cell.Request.Training.RowLength, ((MedusaOptions)cell.Request.Head).Heads)));
        Assert.Equal(["layers", "adversary.weight", "seed"], plan.Varying);
    }

    [Fact]
    public void Entries_of_a_list_stand_before_the_grid_and_override_what_is_fixed()
    {
        var fields = Fields
            .With("list", """[{"steps": 4}, {"head": "eagle", "learningRate": 0.01}]""")
            .With("grid", """{"seed": [0, 1]}""");
        ((JsonObject)fields["base"]!).Remove("heads");
        var plan = fields.Read();
        Assert.Equal(["steps-4_seed-0", "steps-4_seed-1", "head-eagle_steps-6_learningRate-0.01_seed-0",
            "head-eagle_steps-6_learningRate-0.01_seed-1"], plan.Cells.Select(cell => cell.Name));
        Assert.IsType<EagleOptions>(plan.Cells[2].Request.Head);
        // What the plan does not set is the preset's for this kind of head.
        Assert.Equal(["smooth-l1", "soft-cross-entropy"], plan.Cells[2].Request.Training.Losses.Select(loss => loss.Name));
        Assert.Equal((0.01, 3), (plan.Cells[2].Request.Training.LearningRate, plan.Cells[2].Request.Training.TrainingTimeTest));
    }

    [Fact]
    public void A_head_is_trained_once_for_all_its_evaluations()
    {
        var fields = Fields.WithEvaluation().With("grid", """{"layers": [1, 2], "evaluate.temperature": [0, 1]}""");
        fields["evaluate"]!["draftLength"] = null;
        fields["evaluate"]!["tree"] = "dynamic";
        fields["evaluate"]!["tree.tokens"] = 8;
        var plan = fields.Read();
        Assert.Equal(["layers-1", "layers-2"], plan.Cells.Select(cell => cell.Name));
        Assert.All(plan.Cells, cell =>
            Assert.Equal(["mt-bench_temperature-0", "mt-bench_temperature-1"], cell.Evaluations.Select(evaluation => evaluation.Name)));
        var generation = plan.Cells[0].Evaluations[1].Options.Generation;
        Assert.Equal(new DynamicTree { Tokens = 8 }, generation.Tree);
        Assert.Equal((1.0, 6), (generation.Temperature, generation.MaxTokens));
    }

    [Fact]
    public void A_file_may_have_comments_and_trailing_commas()
    {
        var file = _folder.At("plan.json");
        File.WriteAllText(file, Fields.ToJsonString().Insert(1, "/* K */ // and\n").Replace("}}", ",},}", StringComparison.Ordinal));
        Assert.Equal("medusa-k1", Assert.Single(SweepPlan.Load(file).Cells).Name);
    }

    [Fact]
    public void Plans_that_mean_the_same_are_the_same()
    {
        var one = Fields.With("grid", """{"seed": ["0-2"]}""").Read();
        var other = Fields.With("list", """[{"seed": 0}, {"seed": 1}, {"seed": 2}]""").Read();
        Assert.Equal(one.Hash, other.Hash);
        Assert.NotEqual(one.Hash, Fields.With("grid", """{"seed": ["0-3"]}""").Read().Hash);
    }

    [Fact]
    public void Options_of_heads_that_files_leave_out_are_ablations_too()
    {
        var plan = Fields.With("base", """{"head": "eagle", "data": "chats.jsonl", "fusedFeatures": true, "architecture": "eagle3"}""")
            .With("grid", """{"featureNorms": [false, true], "confidence": [true], "fusionWeights": [true], "window": [null, 64]}""")
            .Read();
        Assert.Equal([(false, null), (false, 64), (true, null), (true, 64)], plan.Cells.Select(cell => (EagleOptions)cell.Request.Head)
            .Select(head => (head.FeatureNorms, head.Window)));
        Assert.All(plan.Cells, cell => Assert.True(cell.Request.Head is EagleOptions { Confidence: true, FusionWeights: true }));
    }

    [Fact]
    public void A_list_of_losses_is_one_value()
    {
        const string Losses = """{"losses": [[{"name": "kl"}], [{"name": "kl", "weight": 0.5}, {"name": "total-variation"}]]}""";
        var plan = Fields.With("grid", Losses).Read();
        Assert.Equal(["losses-kl", "losses-kl-0.5+total-variation"], plan.Cells.Select(cell => cell.Name));
        Assert.Equal([0.5, 1], plan.Cells[1].Request.Training.Losses.Select(loss => loss.Weight));
    }

    [Theory]
    [InlineData("grid", """{"layer": [1]}""", "layer", "did you mean layers?")]
    [InlineData("gird", """{"layers": [1]}""", "gird", "did you mean grid?")]
    [InlineData("base", """{"adversary": {"wieght": 1}}""", "adversary.wieght", "did you mean adversary.weight?")]
    [InlineData("evaluate", """{"prompt": "x"}""", "evaluate.prompt", "did you mean evaluate.prompts?")]
    [InlineData("base", """{"withControls": ["none"]}""", "withControls", "put 0 into adversary.weight")]
    [InlineData("grid", "{}", "grid", "is empty")]
    [InlineData("list", "[]", "list", "an empty one")]
    [InlineData("grid", """{"layers": []}""", "layers", "has no value")]
    [InlineData("grid", """{"layers": 1}""", "layers", "holds lists of values")]
    [InlineData("grid", """{"layers": [1, 1]}""", "layers", "has the value 1 twice")]
    [InlineData("grid", """{"layers": [1, "2"]}""", "layers", "is \"2\", but a whole number is expected")]
    [InlineData("grid", """{"layers": "4-2"}""", "layers", "the smaller number first")]
    [InlineData("grid", """{"seed": "0-99999999999"}""", "seed", "has the range")]
    [InlineData("grid", """{"steps": [1, 2]}""", "steps", "is in grid and is fixed as well")]
    [InlineData("grid", """{"schedule": ["cosine", "step"]}""", "schedule", "cosine or linear or holdLinear")]
    [InlineData("grid", """{"layers": [1, 99]}""", "layers", "a head has 1 to 16 layers")]
    [InlineData("grid", """{"head": ["medusa", "eagel"]}""", "head", "the kinds of head are eagle, medusa")]
    [InlineData("grid", """{"draftVocabulary": [10]}""", "draftVocabulary", "does not apply to a head of the kind medusa")]
    [InlineData("evaluate", """{"limit": 3}""", "evaluate.limit", "evaluate.prompts is missing")]
    [InlineData("evaluate", """{"prompts": "x"}""", "evaluate.draftLength", "is missing")]
    [InlineData("evaluate", """{"prompts": "x", "tree": "chain", "tree.tokens": 3, "draftLength": 1}""", "evaluate.tree.tokens", "dynamic")]
    [InlineData("threads", "0", "threads", "1 to 1024 threads")]
    [InlineData("target", "3", "target", "a text is expected")]
    public void What_is_wrong_is_named_with_its_place(string key, string json, params string[] words)
    {
        var file = _folder.At("plan.json");
        File.WriteAllText(file, Fields.With(key, json).ToJsonString());
        var fault = Assert.Throws<KoalaException>(() => SweepPlan.Load(file));
        Assert.StartsWith(file, fault.Message, StringComparison.Ordinal);
        Assert.All(words, word => Assert.Contains(word, fault.Message, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("""{"target": "x", "target": "y"}""")]
    [InlineData("[]")]
    [InlineData("{")]
    [InlineData("null")]
    [InlineData("""{"target": "\ud800"}""")]
    public void A_file_that_is_no_plan_is_refused(string text)
    {
        var file = _folder.At("plan.json");
        File.WriteAllText(file, text);
        Assert.StartsWith(file, Assert.Throws<KoalaException>(() => SweepPlan.Load(file)).Message, StringComparison.Ordinal);
    }

    private JsonObject Fields => SamplePlan.Fields(_folder);
}
