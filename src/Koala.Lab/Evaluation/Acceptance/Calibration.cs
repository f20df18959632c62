namespace Koala.Lab.Evaluation.Acceptance;

/// <summary>
/// Whether a head's confidences are right: of the tokens with a confidence of about 0.7, about 70% should be accepted. The tokens are those
/// of <see cref="NAlpha"/>, at every position of the target's own answers and after correct tokens only.
/// </summary>
/// <param name="Error">
/// The expected calibration error: the distance between mean confidence and acceptance of each bin, as a mean over the tokens.
/// </param>
/// <param name="Bins">The ten bins of equal width by confidence, without those that no token is in.</param>
public sealed record Calibration(double Error, IReadOnlyList<CalibrationBin> Bins);

/// <summary>The tokens with confidences in a tenth of the range from 0 to 1.</summary>
/// <param name="Confidence">Their mean confidence.</param>
/// <param name="Accepted">The share that was accepted; in sampling, the expected share.</param>
/// <param name="Tokens">Their number.</param>
public readonly record struct CalibrationBin(double Confidence, double Accepted, long Tokens);

/// <summary>Counts tokens by their confidence.</summary>
internal sealed class CalibrationCounts
{
    private const int Bins = 10;

    private readonly double[] _confidence = new double[Bins];
    private readonly double[] _accepted = new double[Bins];
    private readonly long[] _tokens = new long[Bins];

    /// <summary>Counts a token.</summary>
    /// <param name="confidence">Its confidence, 0 to 1.</param>
    /// <param name="accepted">Whether it was accepted, 0 or 1, or the probability of it.</param>
    public void Add(double confidence, double accepted)
    {
        var bin = Math.Min((int)(confidence * Bins), Bins - 1);
        _confidence[bin] += confidence;
        _accepted[bin] += accepted;
        _tokens[bin]++;
    }

    /// <summary>The calibration over all counts; null if there is no token.</summary>
    public static Calibration? Of(IReadOnlyList<CalibrationCounts> counts)
    {
        CalibrationBin Bin(int bin)
        {
            var tokens = counts.Sum(c => c._tokens[bin]);
            return new CalibrationBin(counts.Sum(c => c._confidence[bin]) / tokens, counts.Sum(c => c._accepted[bin]) / tokens, tokens);
        }
        CalibrationBin[] bins = [.. Enumerable.Range(0, Bins).Select(Bin).Where(bin => bin.Tokens > 0)];
        if (bins.Length == 0) return null;
        return new Calibration(bins.Sum(bin => bin.Tokens * Math.Abs(bin.Confidence - bin.Accepted)) / bins.Sum(bin => bin.Tokens), bins);
    }
}
