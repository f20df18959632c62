using Koala.Lab.Adversary;
using Koala.Lab.Heads;
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
    public void Without_warm_up_it_starts_at_the_peak_and_in_a_short_run_it_only_rises()
    {
        Assert.Equal(2, new TrainingOptions { Steps = 5, Warmup = 0, LearningRate = 2 }.LearningRateAt(0));
        var brief = new TrainingOptions { Steps = 5, Warmup = 20, LearningRate = 2 };
        Assert.Equal([0.1, 0.2, 0.3, 0.4, 0.5], Enumerable.Range(0, 5).Select(s => Math.Round(brief.LearningRateAt(s), 12)));
    }

    public static TheoryData<string, TrainingOptions> Wrong => new()
    {
        { "--steps", new() { Steps = 0 } },
        { "--batch", new() { Batch = 0 } },
        { "--row-length", new() { RowLength = 7 } },
        { "--validate-every", new() { ValidateEvery = 0 } },
        { "--save-every", new() { SaveEvery = -1 } },
        { "--warmup", new() { Warmup = -1 } },
        { "--decay", new() { Decay = 1.1 } },
        { "--decay", new() { Decay = double.NaN } },
        { "--beta1", new() { Beta1 = -0.1 } },
        { "--beta2", new() { Beta2 = 1.5 } },
        { "--learning-rate", new() { LearningRate = 0 } },
        { "--learning-rate", new() { LearningRate = double.NaN } },
        { "--learning-rate", new() { LearningRate = double.PositiveInfinity } },
        { "--clip-norm", new() { ClipNorm = 0 } },
        { "--weight-decay", new() { WeightDecay = -1 } },
        { "--weight-decay", new() { WeightDecay = double.NaN } },
        { "--adversary-weight", new() { Adversary = new() { Weight = -0.1 } } },
        { "--adversary-weight", new() { Adversary = new() { Weight = double.NaN } } },
        { "--adversary-weight", new() { Adversary = new() { Weight = double.PositiveInfinity } } },
        { "--adversary-warmup", new() { Adversary = new() { Warmup = -1 } } },
        { "--adversary-width", new() { Adversary = new() { Width = 0 } } },
        { "--adversary-learning-rate", new() { Adversary = new() { LearningRate = 0 } } },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void A_value_out_of_range_is_refused_by_the_name_of_its_option(string option, TrainingOptions options)
    {
        Assert.Equal(option, Assert.Throws<KoalaException>(options.Validate).Where);
        using var head = DraftHead.Create(new MedusaOptions { Heads = 1 }, Shipped.Nano);
        Assert.Equal(option, Assert.Throws<KoalaException>(() => new Trainer(Shipped.Nano, head, Tiny.Data, options)).Where);
    }

    [Fact]
    public void The_defaults_and_the_ends_of_the_ranges_are_allowed()
    {
        new TrainingOptions().Validate();
        new TrainingOptions { Steps = 1, Batch = 1, RowLength = 8, Warmup = 0, Decay = 0, Beta1 = 0, WeightDecay = 0 }.Validate();
        new TrainingOptions { Decay = 1 }.Validate();
        Assert.Equal(0, new AdversaryOptions().Weight);
    }
}
