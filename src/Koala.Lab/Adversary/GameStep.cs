using static TorchSharp.torch;

namespace Koala.Lab.Adversary;

/// <summary>A step of the game.</summary>
/// <param name="HeadLoss">The head's adversarial loss, a scalar with gradients to the head only.</param>
/// <param name="DiscriminatorLoss">The discriminator's loss, a scalar with gradients to the discriminator only.</param>
/// <param name="Positions">The number of positions that were judged.</param>
public sealed record GameStep(Tensor HeadLoss, Tensor DiscriminatorLoss, int Positions)
{
    /// <summary>The share of the target's that the discriminator took for the target's.</summary>
    public double TargetAccuracy { get; init; }

    /// <summary>The share of the head's that it took for the head's.</summary>
    public double HeadAccuracy { get; init; }

    /// <summary>Its mean score of the target's.</summary>
    public double TargetScore { get; init; }

    /// <summary>Its mean score of the head's.</summary>
    public double HeadScore { get; init; }

    /// <summary>The mean of both accuracies; guessing gives 0.5.</summary>
    public double Accuracy => (TargetAccuracy + HeadAccuracy) / 2;
}

/// <summary>The gradients of the supervised and of the adversarial loss at the head's last matrix.</summary>
/// <param name="SupervisedNorm">The norm of the supervised loss's gradient.</param>
/// <param name="AdversarialNorm">The norm of the adversarial loss's gradient, unweighted.</param>
/// <param name="Cosine">The cosine of the angle between them: 1 if both ask for the same.</param>
public sealed record GradientBalance(double SupervisedNorm, double AdversarialNorm, double Cosine)
{
    /// <summary>What makes both norms equal; 0 if there is no adversarial gradient.</summary>
    public double Ratio => AdversarialNorm > 0 ? SupervisedNorm / AdversarialNorm : 0;

    /// <summary>Measures the gradients. Both losses can still be differentiated after it.</summary>
    /// <param name="supervised">The supervised loss, a scalar.</param>
    /// <param name="adversarial">The adversarial loss, a scalar.</param>
    /// <param name="matrix">The parameter that both depend on.</param>
    internal static GradientBalance Measure(Tensor supervised, Tensor adversarial, Tensor matrix)
    {
        using var scope = NewDisposeScope();
        Tensor Gradient(Tensor loss) => autograd.grad([loss], [matrix], retain_graph: true)[0].view(-1).to(ScalarType.Float64);
        var (s, a) = (Gradient(supervised), Gradient(adversarial));
        var values = stack([s.norm(), a.norm(), dot(s, a)]).cpu().data<double>().ToArray();
        var norms = values[0] * values[1];
        return new GradientBalance(values[0], values[1], norms > 0 ? values[2] / norms : 0);
    }
}
