using Koala.Lab.Decoding.Cost;
using Koala.Lab.Evaluation;

namespace Koala.Cli.Output;

/// <summary>The exit code of a report whose speeds may be missing because the machine was busy.</summary>
internal static class DisturbanceNote
{
    /// <summary>1 if other work disturbed the measurement; then one line on standard error says how that showed.</summary>
    public static int ExitCodeOf(Streams streams, Circumstances report)
    {
        if (report.Disturbances is not { Count: > 0 } disturbances) return ExitCodes.Done;
        streams.Error.WriteLine(Disturbances.Line(disturbances));
        return ExitCodes.CheckFailed;
    }
}
