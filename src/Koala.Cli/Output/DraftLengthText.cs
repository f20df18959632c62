using System.Globalization;
using Koala.Lab.Decoding.Cost;

namespace Koala.Cli.Output;

/// <summary>The line on standard error that says which draft length was chosen, and why.</summary>
internal static class DraftLengthText
{
    public static string Render(DraftLengthChoice choice) =>
        $"draft length {choice.Length}, {Reason(choice)}; --draft-length sets it";

    private static string Reason(DraftLengthChoice choice)
    {
        if (choice.Disturbances.Count > 0)
            return "chosen for this device by a short measurement while the machine was busy: on a quiet machine it may be another";
        if (double.IsNaN(choice.Speedup)) return "the longest, because no round was measured";
        var speedup = choice.Speedup.ToString("F2", CultureInfo.InvariantCulture);
        var slower = choice.Speedup < 1 ? ", which is slower" : "";
        return $"chosen for this device: {speedup} times as fast as the baseline in a short measurement{slower}";
    }
}
