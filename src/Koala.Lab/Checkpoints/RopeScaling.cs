namespace Koala.Lab.Checkpoints;

/// <summary>How rotary positions are stretched beyond the context a model was first trained on.</summary>
/// <param name="Type">
/// <c>linear</c> (positions are divided by the factor), <c>llama3</c> (low frequencies are divided, high ones are kept, with a ramp
/// between them), <c>yarn</c> (the same with a ramp over pairs; arXiv 2309.00071) or <c>divisors</c> (each frequency is divided by its own
/// number, which is how GGUF files store llama3, and what longrope does).
/// </param>
/// <param name="Factor">The stretch, above 0. It is 1 for <c>divisors</c>.</param>
/// <param name="LowFrequencyFactor">
/// For <c>llama3</c>: frequencies whose wavelength is above OriginalContext ÷ this number are divided by the factor; for <c>yarn</c>
/// beta_slow. Otherwise 0.
/// </param>
/// <param name="HighFrequencyFactor">
/// For <c>llama3</c>: frequencies whose wavelength is below OriginalContext ÷ this number are kept; for <c>yarn</c> beta_fast.
/// Otherwise 0.
/// </param>
/// <param name="OriginalContext">
/// For <c>llama3</c> and <c>yarn</c>: the context of the first training, in tokens. Otherwise 0.
/// </param>
/// <param name="Divisors">
/// For <c>divisors</c>: one number above 0 for each pair of an attention head's components. Otherwise null.
/// </param>
/// <param name="RoundsRamp">For <c>yarn</c>: whether the ramp begins and ends at whole pairs.</param>
public sealed record RopeScaling(string Type, double Factor, double LowFrequencyFactor = 0, double HighFrequencyFactor = 0,
    int OriginalContext = 0, IReadOnlyList<float>? Divisors = null, bool RoundsRamp = true)
{
    /// <summary>yarn's beta_slow where a model gives none.</summary>
    internal const double BetaSlow = 1;

    /// <summary>yarn's beta_fast where a model gives none.</summary>
    internal const double BetaFast = 32;

    /// <summary>What yarn multiplies rotations by.</summary>
    /// <param name="factor">The stretch.</param>
    /// <param name="weight">The weight of its logarithm.</param>
    internal static double YarnAttention(double factor, double weight = 1) => factor <= 1 ? 1 : 0.1 * weight * Math.Log(factor) + 1;
}
