namespace Koala.Lab.Checkpoints;

/// <summary>How rotary positions are stretched beyond the context a model was first trained on.</summary>
/// <param name="Type"><c>linear</c> (positions divided by the factor) or <c>llama3</c> (low frequencies divided, high ones kept, a ramp between).</param>
/// <param name="Factor">The stretch, above 0.</param>
/// <param name="LowFrequencyFactor">llama3: wavelengths above OriginalContext ÷ this are divided by the factor. 0 for linear.</param>
/// <param name="HighFrequencyFactor">llama3: wavelengths below OriginalContext ÷ this are kept. 0 for linear.</param>
/// <param name="OriginalContext">llama3: the context of the first training, in tokens. 0 for linear.</param>
public sealed record RopeScaling(string Type, double Factor, double LowFrequencyFactor = 0, double HighFrequencyFactor = 0, int OriginalContext = 0);
