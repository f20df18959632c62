namespace Koala.Lab.Training;

/// <summary>The metrics of a training step, which are one line of metrics.jsonl.</summary>
public sealed record StepMetrics
{
    /// <summary>The step, counted from 1.</summary>
    public int Step { get; init; }

    /// <summary>The seconds of training so far.</summary>
    public double Seconds { get; init; }

    /// <summary>The number of tokens that the target has read so far, padding included.</summary>
    public long Tokens { get; init; }

    /// <summary>
    /// The loss that was minimised: the weighted sum of losses over depths, plus the weighted adversarial loss if there
    /// is an adversary. NaN if the step had no position to learn from.
    /// </summary>
    public double Loss { get; init; }

    /// <summary>
    /// The unweighted loss of each depth in order. If there are several losses, it is the first one that compares
    /// distributions, if any. NaN for a depth without a position to learn from.
    /// </summary>
    public IReadOnlyList<double> LossByDepth { get; init; } = [];

    /// <summary>
    /// Each loss by its name, summed over depths with its decay but without its weight. NaN without a position to learn
    /// from.
    /// </summary>
    public IReadOnlyList<KeyValuePair<string, double>> LossByName { get; init; } = [];

    /// <summary>The head's learning rate.</summary>
    public double LearningRate { get; init; }

    /// <summary>The norm of the head's gradients before clipping.</summary>
    public double GradientNorm { get; init; }

    /// <summary>The head's adversarial loss, unweighted; null without an adversary.</summary>
    public double? AdversarialLoss { get; init; }

    /// <summary>The weight of the adversarial loss at this step; null without an adversary.</summary>
    public double? AdversaryWeight { get; init; }

    /// <summary>The discriminator's loss; null without an adversary.</summary>
    public double? DiscriminatorLoss { get; init; }

    /// <summary>
    /// The discriminator's accuracy: the mean of its accuracies on the target's and on the head's distributions.
    /// Guessing gives 0.5. Null without an adversary.
    /// </summary>
    public double? DiscriminatorAccuracy { get; init; }

    /// <summary>
    /// The held-out accuracy by depth, against the target's best token; null at steps without validation, and NaN for
    /// depths that no answer is long enough for.
    /// </summary>
    public IReadOnlyList<double>? ValidationAccuracy { get; init; }

    /// <summary>
    /// The values of the line by name. A list has one value per depth, such as lossAtDepth1 and lossAtDepth2. A loss
    /// has its own name, such as softCrossEntropyLoss. metrics.jsonl has null for NaN.
    /// </summary>
    internal IEnumerable<KeyValuePair<string, double>> Values
    {
        get
        {
            yield return new("seconds", Seconds);
            yield return new("tokens", Tokens);
            yield return new("loss", Loss);
            for (var i = 0; i < LossByDepth.Count; i++) yield return new($"lossAtDepth{i + 1}", LossByDepth[i]);
            foreach (var (name, loss) in LossByName) yield return new($"{CamelCase(name)}Loss", loss);
            yield return new("learningRate", LearningRate);
            yield return new("gradientNorm", GradientNorm);
            if (AdversarialLoss is { } adversarial) yield return new("adversarialLoss", adversarial);
            if (AdversaryWeight is { } weight) yield return new("adversaryWeight", weight);
            if (DiscriminatorLoss is { } discriminator) yield return new("discriminatorLoss", discriminator);
            if (DiscriminatorAccuracy is { } accuracy) yield return new("discriminatorAccuracy", accuracy);
            for (var i = 0; i < ValidationAccuracy?.Count; i++)
                yield return new($"validationAccuracyAtDepth{i + 1}", ValidationAccuracy[i]);
        }
    }

    // Turns the name of a loss, such as soft-cross-entropy, into the name of a JSON field, such as softCrossEntropy.
    private static string CamelCase(string name)
    {
        static string Capitalised(string word) => word.Length == 0 ? word : char.ToUpperInvariant(word[0]) + word[1..];
        return string.Concat(name.Split('-').Select((word, i) => i == 0 ? word : Capitalised(word)));
    }
}
