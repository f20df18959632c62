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

    /// <summary>What was minimised: the weighted sum over depths, and the adversary's term where there is one. Nats.</summary>
    public double Loss { get; init; }

    /// <summary>Mean cross-entropy of each depth, first to last. Nats.</summary>
    public IReadOnlyList<double> LossByDepth { get; init; } = [];

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
}
