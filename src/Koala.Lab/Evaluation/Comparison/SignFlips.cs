using MathNet.Numerics.Random;

namespace Koala.Lab.Evaluation.Comparison;

/// <summary>
/// The permutation test of paired differences: if both sides were the same, each difference could as well have the other sign.
/// </summary>
internal static class SignFlips
{
    private const int Draws = 10_000;

    /// <summary>The share of sign patterns whose mean is at least as far from 0 as the differences' own, which is one of them.</summary>
    /// <param name="differences">A difference for each prompt.</param>
    public static double PValue(IReadOnlyList<double> differences)
    {
        var own = Math.Abs(differences.Sum());
        // Rounding must not make a pattern smaller that is the same.
        var least = own - 1e-12 * differences.Sum(Math.Abs);
        var random = new Xoshiro256StarStar(0, threadSafe: false);
        var asFar = 1;
        for (var draw = 0; draw < Draws; draw++)
        {
            var sum = 0.0;
            for (var (i, bits) = (0, 0); i < differences.Count; i++, bits >>= 1)
            {
                if (i % 30 == 0) bits = random.Next();
                sum += (bits & 1) == 0 ? differences[i] : -differences[i];
            }
            if (Math.Abs(sum) >= least) asFar++;
        }
        return asFar / (Draws + 1.0);
    }
}
