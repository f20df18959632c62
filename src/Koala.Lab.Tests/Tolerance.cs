using Koala.Lab.Checkpoints;
using static TorchSharp.torch;

namespace Koala.Lab.Tests;

/// <summary>
/// How much two float32 computations of the same values may differ. The bound follows from the arithmetic, not from one
/// processor.
/// </summary>
/// <remarks>
/// A float32 operation rounds its result by at most u = 2⁻²⁴ of it. Processors, vector units and numbers of threads add
/// the terms of a sum in other orders and fuse other operations, so the errors differ, but not their size: a sum of n
/// terms whose roundings have random signs is off by about u·√n (N. J. Higham and T. Mary, "A New Approach to
/// Probabilistic Rounding Error Analysis", SIAM J. Sci. Comput. 41, 2019), and the variances of sums that follow one
/// another add up. A value behind sums of n₁, n₂, … terms is therefore off by about u·√(n₁ + n₂ + …) of the size of its
/// row. The number under the root is called the roundings here.
/// </remarks>
internal static class Tolerance
{
    private const double UnitRoundoff = 1.0 / (1 << 24);

    // The largest of a million normal errors is five standard deviations, and the difference of two computations is √2
    // times as wide.
    private const double Spread = 7;

    /// <summary>The number of roundings in a pass through decoder layers.</summary>
    /// <param name="config">The model's sizes.</param>
    /// <param name="layers">The number of layers.</param>
    /// <param name="seen">The number of tokens that the last token attends to, itself included.</param>
    /// <param name="further">
    /// The number of terms of the sums after the layers, such as the final norm and the LM head.
    /// </param>
    public static long Roundings(ModelConfig config, int layers, int seen, long further = 0)
    {
        // Two norms and the products for queries, keys, values, gate and up are sums over the width.
        var overWidth = 5L * config.HiddenSize;
        var attention = config.HeadDim + 2L * seen + (long)config.Heads * config.HeadDim;
        // Rotation, SiLU, its product and the two residual sums.
        const int PerElement = 10;
        return layers * (overWidth + attention + config.IntermediateSize + PerElement) + further;
    }

    /// <summary>The largest difference allowed between two values.</summary>
    /// <param name="magnitude">The largest value that was added up in the computation.</param>
    /// <param name="roundings">The number of terms of all sums in the computation.</param>
    /// <param name="amplification">
    /// The factor by which a relative change during the computation grows up to the end, if it is more than 1.
    /// </param>
    public static double Of(double magnitude, long roundings, double amplification = 1) =>
        Spread * UnitRoundoff * Math.Sqrt(roundings) * amplification * magnitude;

    /// <summary>Asserts that rows are equal up to rounding.</summary>
    /// <param name="expected">The rows of one computation, [..., N].</param>
    /// <param name="actual">The rows of the other computation, of the same shape.</param>
    /// <param name="roundings">The number of terms of all sums in the computation.</param>
    /// <param name="amplification">
    /// The factor by which a relative change during the computation grows up to the end, if it is more than 1.
    /// </param>
    /// <param name="what">The name of the compared values, for the message.</param>
    public static void AssertClose(Tensor expected, Tensor actual, long roundings, double amplification = 1, string what = "")
    {
        Assert.Equal(expected.shape, actual.shape);
        var excess = Excess(expected, actual, roundings, amplification);
        Assert.True(excess <= 1,
            $"{what} {excess:F2} times the difference that rounding explains: {Golden.Distance(expected, actual)}");
    }

    /// <summary>Asserts that two values are equal up to rounding.</summary>
    public static void AssertClose(double expected, double actual, long roundings, double? magnitude = null)
    {
        var allowed = Of(magnitude ?? Math.Abs(expected), roundings);
        Assert.True(Math.Abs(expected - actual) <= allowed, $"{actual} for {expected}, {allowed} allowed");
    }

    /// <summary>The largest difference between rows, divided by what is allowed.</summary>
    /// <param name="expected">The rows of one computation, [..., N].</param>
    /// <param name="actual">The rows of the other computation, of the same shape.</param>
    /// <param name="roundings">The number of terms of all sums in the computation.</param>
    /// <param name="amplification">
    /// The factor by which a relative change during the computation grows up to the end, if it is more than 1.
    /// </param>
    public static double Excess(Tensor expected, Tensor actual, long roundings, double amplification = 1)
    {
        using var scope = NewDisposeScope();
        var (one, other) = (expected.detach().to(ScalarType.Float64), actual.detach().to(ScalarType.Float64));
        // The terms of a value are about as large as its row (three standard deviations) or as the value itself.
        var size = 3 * one.square().mean([-1], keepdim: true).sqrt();
        var magnitude = maximum(one.abs(), size).clamp_min(double.Epsilon);
        return ((one - other).abs() / magnitude).max().item<double>() / Of(1, roundings, amplification);
    }
}
