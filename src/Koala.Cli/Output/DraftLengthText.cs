using System.Globalization;
using Koala.Lab.Evaluation.Cost;

namespace Koala.Cli.Output;

/// <summary>The line on standard error that says which draft length was chosen, and why.</summary>
internal static class DraftLengthText
{
    public static string Render(DraftLengthChoice choice) => $"draft length {choice.Length}, {Reason(choice)}; --draft-length sets it";

    private static string Reason(DraftLengthChoice choice)
    {
        if (double.IsNaN(choice.Speedup)) return "the longest, because no round was measured";
        var measured = string.Create(CultureInfo.InvariantCulture, $"{choice.Speedup:F2} times the baseline by a short measurement");
        return $"chosen for this device: {measured}{(choice.Speedup < 1 ? ", which is slower" : "")}";
    }
}
