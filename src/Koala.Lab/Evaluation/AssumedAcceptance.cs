using System.Globalization;

namespace Koala.Lab.Evaluation;

/// <summary>
/// A position acceptance that a head is assumed to have: measured elsewhere, on another device or with another head, or made up. With the
/// cost of rounds on this device it predicts a speedup.
/// </summary>
/// <param name="ByPosition">
/// The conditional acceptance of each position: of the rounds that accepted all candidates before it, the share that accepts it too. Each
/// from 0 to 1.
/// </param>
/// <param name="From">Where it comes from: the name of a report, or the numbers as they were given.</param>
public sealed record AssumedAcceptance(IReadOnlyList<double> ByPosition, string From)
{
    /// <summary>The measured report that it was taken from; null if it was not measured.</summary>
    internal EvaluationReport? Report { get; init; }

    /// <summary>
    /// The acceptance length of a chain: 1 + α₁ + α₁α₂ + …; NaN for a chain longer than the positions that are known.
    /// </summary>
    /// <param name="draftLength">The number of tokens of the chain.</param>
    public double LengthOf(int draftLength)
    {
        if (draftLength > ByPosition.Count) return double.NaN;
        var (length, reached) = (1.0, 1.0);
        foreach (var acceptance in ByPosition.Take(draftLength)) length += reached *= acceptance;
        return length;
    }

    /// <summary>Reads numbers such as <c>0.8,0.7,0.65</c>, or takes the position acceptance of a saved report.</summary>
    /// <param name="text">The numbers, separated by commas, or the file of a report.</param>
    /// <exception cref="KoalaException">It is neither, a number is not from 0 to 1, or the report drafted a tree.</exception>
    public static AssumedAcceptance Read(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (File.Exists(text)) return Of(ReportFiles.Load(text), text);
        var numbers = text.Split(',', StringSplitOptions.TrimEntries).Select(Number).ToArray();
        return Array.TrueForAll(numbers, number => number is >= 0 and <= 1)
            ? new AssumedAcceptance(numbers, text)
            : throw KoalaException.ForOption("AssumeAcceptance", $"is '{MessageText.Text(text)}', which is no file and no list of shares",
                "give numbers from 0 to 1, such as 0.8,0.7,0.65, or the file of a report");
    }

    /// <summary>The position acceptance of a report.</summary>
    /// <param name="report">The report of a chain.</param>
    /// <param name="from">The name that is shown for it.</param>
    /// <exception cref="KoalaException">
    /// The report drafted a tree, whose acceptance says nothing about chains, or nothing at all.
    /// </exception>
    public static AssumedAcceptance Of(EvaluationReport report, string from)
    {
        ArgumentNullException.ThrowIfNull(report);
        if (report.Tree is { Name: not "chain" })
            throw new KoalaException(from, $"is about the tree {report.Tree.Name}, whose acceptance says nothing about chains",
                "measure the head with a draft length");
        return report.PositionAcceptance.Count > 0
            ? new AssumedAcceptance(report.PositionAcceptance, from) { Report = report }
            : throw new KoalaException(from, "has no position acceptance, since nothing was drafted", "measure a head");
    }

    // Not a number becomes NaN, which is no share.
    private static double Number(string text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number : double.NaN;
}
