namespace Koala.Lab.Training;

/// <summary>A line of metrics.jsonl.</summary>
public sealed record StepMetrics
{
    /// <summary>The step, counted from 1.</summary>
    public int Step { get; init; }

    /// <summary>Seconds of training so far.</summary>
    public double Seconds { get; init; }

    /// <summary>Tokens the target has read so far, padding included.</summary>
    public long Tokens { get; init; }

    /// <summary>What was minimised: the weighted sum of losses over depths, and the adversary's term where there is one.</summary>
    public double Loss { get; init; }

    /// <summary>The loss of each depth, first to last, unweighted: of the first one that compares distributions, where there is one.</summary>
    public IReadOnlyList<double> LossByDepth { get; init; } = [];

    /// <summary>Each loss by its name, its depths added up with their decay, without its weight.</summary>
    public IReadOnlyList<KeyValuePair<string, double>> LossByName { get; init; } = [];

    /// <summary>The head's learning rate.</summary>
    public double LearningRate { get; init; }

    /// <summary>Norm of the head's gradients before clipping.</summary>
    public double GradientNorm { get; init; }

    /// <summary>The head's adversarial loss, unweighted; null without an adversary.</summary>
    public double? AdversarialLoss { get; init; }

    /// <summary>The adversary's weight at this step; null without one.</summary>
    public double? AdversaryWeight { get; init; }

    /// <summary>The discriminator's loss; null without an adversary.</summary>
    public double? DiscriminatorLoss { get; init; }

    /// <summary>How often the discriminator is right, about both sides alike; 0.5 is guessing. Null without an adversary.</summary>
    public double? DiscriminatorAccuracy { get; init; }

    /// <summary>Held-out accuracy by depth against the target's best token; null between looks.</summary>
    public IReadOnlyList<double>? ValidationAccuracy { get; init; }

    /// <summary>The line's values by name; a list has a value a depth: lossAtDepth1, lossAtDepth2 …; losses go by their names: softCrossEntropyLoss.</summary>
    internal IEnumerable<KeyValuePair<string, double>> Values
    {
        get
        {
            yield return new("seconds", Seconds);
            yield return new("tokens", Tokens);
            yield return new("loss", Loss);
            for (var i = 0; i < LossByDepth.Count; i++) yield return new($"lossAtDepth{i + 1}", LossByDepth[i]);
            foreach (var (name, loss) in LossByName) yield return new($"{Camel(name)}Loss", loss);
            yield return new("learningRate", LearningRate);
            yield return new("gradientNorm", GradientNorm);
            if (AdversarialLoss is { } adversarial) yield return new("adversarialLoss", adversarial);
            if (AdversaryWeight is { } weight) yield return new("adversaryWeight", weight);
            if (DiscriminatorLoss is { } discriminator) yield return new("discriminatorLoss", discriminator);
            if (DiscriminatorAccuracy is { } right) yield return new("discriminatorAccuracy", right);
            for (var i = 0; i < ValidationAccuracy?.Count; i++) yield return new($"validationAccuracyAtDepth{i + 1}", ValidationAccuracy[i]);
        }
    }

    // soft-cross-entropy, as losses are named, is softCrossEntropy among the fields of JSON.
    private static string Camel(string name) => string.Concat(name.Split('-').Select((word, i) => i == 0 || word.Length == 0 ? word : char.ToUpperInvariant(word[0]) + word[1..]));
}
