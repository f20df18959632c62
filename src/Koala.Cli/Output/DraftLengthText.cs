using System.Globalization;
using Koala.Lab.Evaluation.Cost;

namespace Koala.Cli.Output;

/// <summary>A draft length that was chosen for the device, as standard error tells it.</summary>
internal static class DraftLengthText
{
    public static string Render(DraftLengthChoice choice)
    {
        var why = double.IsNaN(choice.Speedup) ? "the longest, for no round was seen to choose by"
            : string.Create(CultureInfo.InvariantCulture, $"chosen for this device: {choice.Speedup:F2} times the target alone by a short measurement{(choice.Speedup < 1 ? ", which is slower" : "")}");
        return string.Create(CultureInfo.InvariantCulture, $"draft length {choice.Length}, {why}; --draft-length sets it");
    }
}
