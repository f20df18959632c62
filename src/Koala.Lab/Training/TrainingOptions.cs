using System.Text.Json.Serialization;
using Koala.Lab.Adversary;

namespace Koala.Lab.Training;

/// <summary>What the head learns from at each place.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<Labels>))]
public enum Labels
{
    /// <summary>The target's own distribution.</summary>
    [JsonStringEnumMemberName("soft")]
    Soft,

    /// <summary>The token that the text has.</summary>
    [JsonStringEnumMemberName("hard")]
    Hard,
}

/// <summary>How a head is trained.</summary>
public sealed record TrainingOptions
{
    // AdamW moves a weight by about the learning rate: beyond this the weights overflow at once.
    private const double HighestLearningRate = 1e30;

    /// <summary>Optimizer steps. Default 600.</summary>
    public int Steps { get; init; } = 600;

    /// <summary>Packed rows a step. Default 2: more and smaller steps learned more in the same time.</summary>
    public int Batch { get; init; } = 2;

    /// <summary>Tokens a row. Default 256.</summary>
    public int RowLength { get; init; } = 256;

    /// <summary>Soft (default) or hard labels.</summary>
    public Labels Labels { get; init; } = Labels.Soft;

    /// <summary>Weight of a depth's loss against the depth before it. Default 0.8 (Medusa's paper).</summary>
    public double Decay { get; init; } = 0.8;

    /// <summary>Peak learning rate. Default 3e-3: over a few hundred steps the best for heads that share the LM head.</summary>
    public double LearningRate { get; init; } = 3e-3;

    /// <summary>Steps over which the learning rate grows to its peak; a cosine then takes it to zero. Default 20.</summary>
    public int Warmup { get; init; } = 20;

    /// <summary>AdamW's first decay rate. Default 0.9.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>AdamW's second decay rate. Default 0.95.</summary>
    public double Beta2 { get; init; } = 0.95;

    /// <summary>AdamW's decoupled weight decay. Default 0.</summary>
    public double WeightDecay { get; init; }

    /// <summary>Gradients are scaled down to this norm. Default 1.</summary>
    public double ClipNorm { get; init; } = 1;

    /// <summary>The adversary; off by default.</summary>
    public AdversaryOptions Adversary { get; init; } = new();

    /// <summary>Seed of the data order and of what starts at random. Default 0.</summary>
    public int Seed { get; init; }

    /// <summary>Steps between looks at held-out accuracy. Default 100; the last step always looks.</summary>
    public int ValidateEvery { get; init; } = 100;

    /// <summary>Steps between saved training states. Default 200; the last step always saves.</summary>
    public int SaveEvery { get; init; } = 200;

    /// <exception cref="KoalaException">An option is out of range.</exception>
    public void Validate()
    {
        AtLeastOne("--steps", Steps);
        AtLeastOne("--batch", Batch);
        AtLeastOne("--validate-every", ValidateEvery);
        AtLeastOne("--save-every", SaveEvery);
        if (RowLength < 8) throw new KoalaException("--row-length", $"is {RowLength}, but a row has at least 8 tokens", "set it to 256");
        if (Warmup < 0) throw new KoalaException("--warmup", $"is {Warmup} steps, but it is 0 or above", "leave it out");
        Between("--decay", Decay, 0, 1);
        DecayRate("--beta1", Beta1);
        DecayRate("--beta2", Beta2);
        Positive("--learning-rate", LearningRate);
        if (LearningRate > HighestLearningRate) throw new KoalaException("--learning-rate", $"is {LearningRate}, but a step of that size leaves the range of fp32", "set it to about 0.003");
        Positive("--clip-norm", ClipNorm);
        if (!(WeightDecay >= 0) || double.IsInfinity(WeightDecay)) throw new KoalaException("--weight-decay", $"is {WeightDecay}, but it is 0 or above", "leave it out");
        Adversary.Validate();
    }

    /// <summary>The learning rate of a step, counted from 0: linear warm-up, then a cosine that reaches zero where the next step would be.</summary>
    public double LearningRateAt(int step)
    {
        if (step < Warmup) return LearningRate * (step + 1) / Warmup;
        var done = Steps <= Warmup ? 1 : (double)(step - Warmup) / (Steps - Warmup);
        return LearningRate * 0.5 * (1 + Math.Cos(Math.PI * done));
    }

    private static void AtLeastOne(string option, int value)
    {
        if (value < 1) throw new KoalaException(option, $"is {value}, but it is at least 1", "set it to 1 or more");
    }

    private static void Positive(string option, double value)
    {
        if (!(value > 0) || double.IsInfinity(value)) throw new KoalaException(option, $"is {value}, but it lies above 0", "leave it out");
    }

    private static void DecayRate(string option, double value)
    {
        if (!(value is >= 0 and < 1)) throw new KoalaException(option, $"is {value}, but it lies from 0 to below 1", "leave it out");
    }

    private static void Between(string option, double value, double low, double high)
    {
        if (!(value >= low && value <= high)) throw new KoalaException(option, $"is {value}, but it lies between {low} and {high}", "leave it out");
    }
}
