using Koala.Lab.Adversary;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Eagle;
using Koala.Lab.Heads.Medusa;
using Koala.Lab.Training;

namespace Koala.Lab.Tests.Training;

public sealed class TrainingOptionsTests
{
    [Fact]
    public void The_learning_rate_warms_up_and_falls_as_a_cosine()
    {
        var options = new TrainingOptions { Steps = 110, Warmup = 10, LearningRate = 2 };
        Assert.Equal(0.2, options.LearningRateAt(0), 12);
        Assert.Equal(1.0, options.LearningRateAt(4), 12);
        Assert.Equal(2.0, options.LearningRateAt(9), 12);
        Assert.Equal(2.0, options.LearningRateAt(10), 12);
        Assert.Equal(1 + Math.Cos(Math.PI / 4), options.LearningRateAt(35), 12);
        Assert.Equal(1.0, options.LearningRateAt(60), 12);
        Assert.InRange(options.LearningRateAt(109), 0, 2 * 3e-4);
        for (var step = 10; step < 109; step++) Assert.True(options.LearningRateAt(step + 1) < options.LearningRateAt(step));
    }

    [Fact]
    public void Without_warm_up_it_starts_at_the_peak_and_in_a_short_run_it_only_grows()
    {
        Assert.Equal(2, new TrainingOptions { Steps = 5, Warmup = 0, LearningRate = 2 }.LearningRateAt(0));
        var brief = new TrainingOptions { Steps = 5, Warmup = 20, LearningRate = 2 };
        Assert.Equal([0.1, 0.2, 0.3, 0.4, 0.5], Enumerable.Range(0, 5).Select(s => Math.Round(brief.LearningRateAt(s), 12)));
    }

    [Fact]
    public void It_falls_linearly_to_zero_or_stays_for_the_first_half_and_then_falls_to_two_percent()
    {
        var linear = new TrainingOptions { Steps = 110, Warmup = 10, LearningRate = 2, Schedule = LearningRateSchedule.Linear };
        foreach (var (step, rate) in ((int, double)[])[(0, 0.2), (9, 2), (10, 2), (35, 1.5), (60, 1), (109, 0.02)])
            Assert.Equal(rate, linear.LearningRateAt(step), 12);
        var held = new TrainingOptions
        {
            Steps = 1000, Warmup = 100, LearningRate = 2, Schedule = LearningRateSchedule.HoldLinear,
        };
        foreach (var (step, rate) in ((int, double)[])[(0, 0.02), (99, 2), (100, 2), (500, 2), (750, 1.02),
            (1000, 0.04)])
            Assert.Equal(rate, held.LearningRateAt(step), 12);
    }

    [Fact]
    public void Presets_are_the_recipes_of_their_names()
    {
        var (eagle, medusa) = (new EagleOptions(), new MedusaOptions());
        var koala = TrainingPresets.Create("koala", eagle, 4000);
        Assert.Equal((1e-3, 200, 0.5, ClipBy.Norm, LearningRateSchedule.HoldLinear, 0.05, 3),
            (koala.LearningRate, koala.Warmup, koala.Clip, koala.ClipBy, koala.Schedule, koala.FeatureNoise,
                koala.TrainingTimeTest));
        Assert.Equal([new("smooth-l1", 0.1, 1), new("soft-cross-entropy", 1, 0.8)], koala.Losses);
        var earlier = TrainingPresets.Create("eagle-3-like", eagle, 4000);
        Assert.Equal([new("smooth-l1", 1, 1), new("soft-cross-entropy", 0.1, 0.8)], earlier.Losses);
        Assert.Equal(koala, earlier with { Losses = koala.Losses });
        Assert.Equal(30, TrainingPresets.Create("koala", eagle, 300).Warmup);
        var first = TrainingPresets.Create("eagle-1", eagle, 4000);
        Assert.Equal((3e-5, 2000, 0.5, ClipBy.Value, LearningRateSchedule.Linear, 0.1, 1),
            (first.LearningRate, first.Warmup, first.Clip, first.ClipBy, first.Schedule, first.FeatureNoise,
                first.TrainingTimeTest));
        Assert.Equal([new("smooth-l1", 1, 1), new("soft-cross-entropy", 0.1, 1)], first.Losses);
        var published = TrainingPresets.Create("medusa-1", medusa, 4000);
        Assert.Equal((1e-3, 400, LearningRateSchedule.Cosine), (published.LearningRate, published.Warmup, published.Schedule));
        Assert.Equal([new("cross-entropy", 1, 0.8)], published.Losses);
        foreach (var name in (string[])["koala", "eagle-3-like"])
            Assert.Equal([new("soft-cross-entropy", 1, 0.8)], TrainingPresets.Create(name, medusa).Losses);
        foreach (var name in TrainingPresets.Names) TrainingPresets.Create(name, eagle, 5).Validate();
        Assert.Equal("preset", Assert.Throws<KoalaException>(() => TrainingPresets.Create("no-such", eagle)).Where);
    }

    public static TheoryData<string, TrainingOptions> Wrong => new()
    {
        { "steps", new() { Steps = 0 } },
        { "batch", new() { Batch = 0 } },
        { "rowLength", new() { RowLength = 7 } },
        { "validateEvery", new() { ValidateEvery = 0 } },
        { "saveEvery", new() { SaveEvery = -1 } },
        { "warmup", new() { Warmup = -1 } },
        { "losses", new() { Losses = [new("kl", 1, 1.1)] } },
        { "losses", new() { Losses = [new("kl", 1, double.NaN)] } },
        { "losses", new() { Losses = [new("kl", 0)] } },
        { "losses", new() { Losses = [new("kl", double.PositiveInfinity)] } },
        { "losses", new() { Losses = [new("no-such")] } },
        { "losses", new() { Losses = [new("kl"), new("kl", 0.5)] } },
        { "losses", new() { Losses = [] } },
        { "firstErrorFocus", new() { FirstErrorFocus = -1 } },
        { "firstErrorFocus", new() { FirstErrorFocus = double.NaN } },
        { "validationAnswers", new() { ValidationAnswers = -1 } },
        { "trainingTimeTest", new() { TrainingTimeTest = 0 } },
        { "trainingTimeTest", new() { TrainingTimeTest = 9 } },
        { "featureNoise", new() { FeatureNoise = -0.1 } },
        { "featureNoise", new() { FeatureNoise = double.NaN } },
        { "beta1", new() { Beta1 = -0.1 } },
        { "beta2", new() { Beta2 = 1.5 } },
        { "learningRate", new() { LearningRate = 0 } },
        { "learningRate", new() { LearningRate = double.NaN } },
        { "learningRate", new() { LearningRate = double.PositiveInfinity } },
        { "clip", new() { Clip = 0 } },
        { "weightDecay", new() { WeightDecay = -1 } },
        { "weightDecay", new() { WeightDecay = double.NaN } },
        { "adversary.weight", new() { Adversary = new() { Weight = -0.1 } } },
        { "adversary.weight", new() { Adversary = new() { Weight = double.NaN } } },
        { "adversary.weight", new() { Adversary = new() { Weight = double.PositiveInfinity } } },
        { "adversary.warmup", new() { Adversary = new() { Warmup = -1 } } },
        { "adversary.width", new() { Adversary = new() { Width = 0 } } },
        { "adversary.learningRate", new() { Adversary = new() { LearningRate = 0 } } },
        { "adversary.positions", new() { Adversary = new() { Positions = -1 } } },
        { "adversary.topTokens", new() { Adversary = new() { TopTokens = -1 } } },
        { "adversary.gradientPenalty", new() { Adversary = new() { GradientPenalty = double.NaN } } },
        { "adversary.lowestAccuracy", new() { Adversary = new() { LowestAccuracy = 1.1 } } },
        { "adversary.highestAccuracy", new() { Adversary = new() { HighestAccuracy = 0.5 } } },
        { "adversary.judges", new() { Adversary = new() { Weight = 1, Judges = Judged.Features } } },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void A_value_out_of_range_is_refused_by_the_name_of_its_option(string option, TrainingOptions options)
    {
        if (option != "adversary.judges") Assert.Equal(option, Assert.Throws<KoalaException>(options.Validate).Where);
        using var head = DraftHead.Create(new MedusaOptions { Heads = 1 }, ShippedModels.Nano);
        Assert.Equal(option,
            Assert.Throws<KoalaException>(() => new Trainer(ShippedModels.Nano, head, TinyModels.Data, options)).Where);
    }

    [Fact]
    public void The_defaults_and_the_ends_of_the_ranges_are_allowed()
    {
        new TrainingOptions().Validate();
        new TrainingOptions { Steps = 1, Batch = 1, RowLength = 8, Warmup = 0, Beta1 = 0, WeightDecay = 0 }.Validate();
        LossTerm[] losses = [new("kl"), new("acceptance", 1e-3, 0)];
        new TrainingOptions { Losses = losses, TrainingTimeTest = 8, FeatureNoise = 0 }.Validate();
        Assert.Equal(0, new AdversaryOptions().Weight);
    }
}
