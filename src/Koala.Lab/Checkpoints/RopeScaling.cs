namespace Koala.Lab.Checkpoints;

/// <summary>How rotary positions are stretched beyond the context a model was first trained on.</summary>
/// <param name="Type">
/// <c>linear</c> (positions divided by the factor), <c>llama3</c> (low frequencies divided, high ones kept, a ramp between) or <c>divisors</c> (each frequency
/// divided by its own number: how GGUF files spell llama3).
/// </param>
/// <param name="Factor">The stretch, above 0. 1 for divisors.</param>
/// <param name="LowFrequencyFactor">llama3: wavelengths above OriginalContext ÷ this are divided by the factor. Else 0.</param>
/// <param name="HighFrequencyFactor">llama3: wavelengths below OriginalContext ÷ this are kept. Else 0.</param>
/// <param name="OriginalContext">llama3: the context of the first training, in tokens. Else 0.</param>
/// <param name="Divisors">divisors: one for each pair of a head's numbers, above 0. Else null.</param>
public sealed record RopeScaling(string Type, double Factor, double LowFrequencyFactor = 0, double HighFrequencyFactor = 0, int OriginalContext = 0,
    IReadOnlyList<float>? Divisors = null);
