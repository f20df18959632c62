namespace Koala.Lab.Runtime.Machine;

/// <summary>
/// How busy the machine was with other work while something was measured. A figure that the system does not tell is NaN, which JSON
/// writes as null.
/// </summary>
/// <param name="LoadAverage">
/// The mean number of tasks on the machine that ran or waited, over the last minute before the end; Koala's own are among them.
/// </param>
/// <param name="OtherCores">The cores that other processes used, on average.</param>
/// <param name="WaitingShare">
/// Of the time in which this process's threads could have run, the share in which they waited for a core that other processes used.
/// Threads of this process that wait for each other, such as the decoder for .NET's compiler, are not disturbed by other work.
/// </param>
/// <param name="StolenShare">The share of the machine's processor time that its hypervisor gave to other machines.</param>
public sealed record MachineLoad(double LoadAverage, double OtherCores, double WaitingShare, double StolenShare)
{
    // A thread's counters of less time than this say nothing about a share.
    private const double FewestSeconds = 0.02;

    /// <summary>The load between two readings.</summary>
    internal static MachineLoad Between(ProcessorTimes start, ProcessorTimes end)
    {
        var seconds = TimeProvider.System.GetElapsedTime(start.Timestamp, end.Timestamp).TotalSeconds;
        var (run, wait) = (0.0, 0.0);
        foreach (var (id, (ran, waited)) in end.Threads)
        {
            var (ranBefore, waitedBefore) = start.Threads.GetValueOrDefault(id);
            // Linux gives the id of an ended thread to a new one, whose counters begin at 0.
            (run, wait) = ran < ranBefore ? (run + ran, wait + waited) : (run + ran - ranBefore, wait + waited - waitedBefore);
        }
        var others = Math.Max(0, end.MachineSeconds - start.MachineSeconds - (end.OwnSeconds - start.OwnSeconds));
        // Linux does not say for whom a thread waited. It cannot have been for other processes longer than these ran. Where their time
        // is unknown, Min returns NaN.
        var waitForOthers = Math.Min(wait, others);
        return new MachineLoad(
            end.LoadAverage,
            Share(others, seconds),
            Share(waitForOthers, run + waitForOthers),
            Share(end.StolenSeconds - start.StolenSeconds, seconds * end.MachineCores));
    }

    private static double Share(double part, double whole) => whole > FewestSeconds ? part / whole : double.NaN;
}
