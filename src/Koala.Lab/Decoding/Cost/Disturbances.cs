using System.Globalization;
using System.Runtime.CompilerServices;
using Koala.Lab.Runtime.Machine;

namespace Koala.Lab.Decoding.Cost;

/// <summary>The signs that other work on the machine disturbed a measurement. Each is a sentence without its full stop.</summary>
public static class Disturbances
{
    /// <summary>What the system counted: processor time for which this process had to wait.</summary>
    internal static IEnumerable<string> OfLoad(MachineLoad load, DisturbanceLimits limits)
    {
        if (load.WaitingShare > limits.WaitingShare)
            yield return Text($"Koala's threads waited for a core in {load.WaitingShare:P0} of their time, "
                + $"other work used {load.OtherCores:F1} cores, and the load average was {load.LoadAverage:F1}");
        if (load.StolenShare > limits.StolenShare)
            yield return Text($"the hypervisor gave {load.StolenShare:P0} of the processor time to other machines");
    }

    /// <summary>What the timed rounds say about themselves.</summary>
    internal static IEnumerable<string> OfCost(StepCost cost, DisturbanceLimits limits)
    {
        if (cost.Load is { } load)
            foreach (var sign in OfLoad(load, limits)) yield return sign;
        if (cost.Spread > limits.Spread)
            yield return Text($"the same rounds took {cost.Spread:F1} times as long as the fastest quarter of them");
        if (cost.Trees.MinBy(tree => tree.RoundMs) is { } least && least.RoundMs / cost.BaselineMs < limits.LeastRound)
            yield return Text($"a round with {least.Nodes} candidates took {least.RoundMs:F2} ms, "
                + $"less than a round without any ({cost.BaselineMs:F2} ms), which it contains");
    }

    /// <summary>Whether two ways to the same speedup differ.</summary>
    /// <param name="measured">The measured speedup; NaN where there is none.</param>
    /// <param name="predicted">The speedup that the cost of the same rounds predicts; NaN where there is none.</param>
    /// <param name="limits">What is tolerated.</param>
    internal static IEnumerable<string> OfPrediction(double measured, double predicted, DisturbanceLimits limits)
    {
        if (Math.Max(measured / predicted, predicted / measured) > limits.Deviation)
            yield return Text($"the speedup was measured as {measured:F2} but predicted as {predicted:F2}");
    }

    /// <summary>All signs in one line, and what to do.</summary>
    /// <param name="disturbances">The signs, at least one.</param>
    public static string Line(IReadOnlyList<string> disturbances) =>
        $"the machine was busy: {string.Join("; ", disturbances)}. Fix: measure again while nothing else runs, or with fewer threads";

    private static string Text(DefaultInterpolatedStringHandler text) => string.Create(CultureInfo.InvariantCulture, ref text);
}
