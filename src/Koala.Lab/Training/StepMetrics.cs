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
    /// is an adversary, and the weighted loss of a confidence output. NaN if the step had no position to learn from.
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

    /// <summary>
    /// The acceptance length that the step's positions predict when sampling at temperature 1: 1 + Σ Π Σ min(p, q) over
    /// the depths that are trained, each as the mean over its chains, whatever the loss. NaN without a position to learn
    /// from.
    /// </summary>
    public double TauSimulated { get; init; }

    /// <summary>
    /// The loss of the head's confidence output, unweighted; null for a head without one.
    /// </summary>
    public double? ConfidenceLoss { get; init; }

    /// <summary>The head's learning rate.</summary>
    public double LearningRate { get; init; }

    /// <summary>The norm of the head's gradients before clipping.</summary>
    public double GradientNorm { get; init; }

    /// <summary>The head's adversarial loss, unweighted; null without an adversary.</summary>
    public double? AdversarialLoss { get; init; }

    /// <summary>
    /// The weight of the adversarial loss at this step, warm-up and balance included; null without an adversary.
    /// </summary>
    public double? AdversaryWeight { get; init; }

    /// <summary>The discriminator's loss; null without an adversary.</summary>
    public double? DiscriminatorLoss { get; init; }

    /// <summary>
    /// The discriminator's accuracy: the mean of its accuracies on the target's and on the head's distributions.
    /// Guessing gives 0.5. Null without an adversary.
    /// </summary>
    public double? DiscriminatorAccuracy { get; init; }

    /// <summary>The discriminator's mean score of the target's; null without an adversary.</summary>
    public double? DiscriminatorScoreOfTarget { get; init; }

    /// <summary>The discriminator's mean score of the head's; null without an adversary.</summary>
    public double? DiscriminatorScoreOfHead { get; init; }

    /// <summary>
    /// Whether the discriminator was so far ahead that it did not learn in this step; null without an adversary.
    /// metrics.jsonl has 1 or 0.
    /// </summary>
    public bool? DiscriminatorFrozen { get; init; }

    /// <summary>
    /// The norm of the supervised loss's gradient at the head's last matrix; null at steps where it was not measured.
    /// </summary>
    public double? SupervisedGradientNorm { get; init; }

    /// <summary>
    /// The norm of the unweighted adversarial loss's gradient at the head's last matrix; null at steps where it was not
    /// measured.
    /// </summary>
    public double? AdversarialGradientNorm { get; init; }

    /// <summary>
    /// The cosine between both gradients: 1 if they ask for the same, -1 for the opposite. Null at steps where it was not
    /// measured.
    /// </summary>
    public double? GradientCosine { get; init; }

    /// <summary>
    /// The held-out accuracy by depth, against the target's best token; null at steps without validation, and NaN for
    /// depths that no answer is long enough for.
    /// </summary>
    public IReadOnlyList<double>? ValidationAccuracy { get; init; }

    /// <summary>
    /// The greedy acceptance length that held-out rows predict: 1 + the share of chains that are correct up to each depth,
    /// where the head is given the text's tokens (teacher forcing). Null at steps without validation.
    /// </summary>
    public double? ValidationTauTeacherForced { get; init; }

    /// <summary>
    /// The greedy acceptance length of real drafting for the prompts of held-out rows, with chains as long as those of
    /// <see cref="ValidationTauTeacherForced"/>. Null at steps without this measurement.
    /// </summary>
    public double? ValidationTauFreeRunning { get; init; }

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
            yield return new("tauSimulated", TauSimulated);
            if (ConfidenceLoss is { } confidence) yield return new("confidenceLoss", confidence);
            yield return new("learningRate", LearningRate);
            yield return new("gradientNorm", GradientNorm);
            if (AdversarialLoss is { } adversarial) yield return new("adversarialLoss", adversarial);
            if (AdversaryWeight is { } weight) yield return new("adversaryWeight", weight);
            if (DiscriminatorLoss is { } discriminator) yield return new("discriminatorLoss", discriminator);
            if (DiscriminatorAccuracy is { } accuracy) yield return new("discriminatorAccuracy", accuracy);
            if (DiscriminatorScoreOfTarget is { } ofTarget) yield return new("discriminatorScoreOfTarget", ofTarget);
            if (DiscriminatorScoreOfHead is { } ofHead) yield return new("discriminatorScoreOfHead", ofHead);
            if (DiscriminatorFrozen is { } frozen) yield return new("discriminatorFrozen", frozen ? 1 : 0);
            if (SupervisedGradientNorm is { } supervised) yield return new("supervisedGradientNorm", supervised);
            if (AdversarialGradientNorm is { } norm) yield return new("adversarialGradientNorm", norm);
            if (GradientCosine is { } cosine) yield return new("gradientCosine", cosine);
            for (var i = 0; i < ValidationAccuracy?.Count; i++)
                yield return new($"validationAccuracyAtDepth{i + 1}", ValidationAccuracy[i]);
            if (ValidationTauTeacherForced is { } forced) yield return new("validationTauTeacherForced", forced);
            if (ValidationTauFreeRunning is { } free) yield return new("validationTauFreeRunning", free);
        }
    }

    // Turns the name of a loss, such as soft-cross-entropy, into the name of a JSON field, such as softCrossEntropy.
    private static string CamelCase(string name)
    {
        static string Capitalised(string word) => word.Length == 0 ? word : char.ToUpperInvariant(word[0]) + word[1..];
        return string.Concat(name.Split('-').Select((word, i) => i == 0 ? word : Capitalised(word)));
    }
}
