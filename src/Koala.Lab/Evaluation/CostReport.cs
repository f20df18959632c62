using System.Globalization;
using System.Text;
using Koala.Lab.Runs;
using Koala.Lab.Runtime;

namespace Koala.Lab.Evaluation;

/// <summary>
/// What answers cost on a device that is paid by the hour: the target alone, with each head, and after how many tokens a head has paid for
/// its training.
/// </summary>
/// <param name="Rate">The price of an hour of the device, in the currency.</param>
/// <param name="TrainingRate">The price of an hour of the device that trained the heads.</param>
/// <param name="Currency">The currency, a word that is printed as it is.</param>
/// <param name="Heads">A row for each report.</param>
[TypeFormatterSource]
public sealed record CostReport(double Rate, double TrainingRate, string Currency, IReadOnlyList<HeadCost> Heads)
{
    /// <summary>Computes costs from measured reports.</summary>
    /// <param name="files">
    /// Files of reports, or folders of training runs, whose newest report is taken. The training time of a run is known if the report lies
    /// in the run's folder of results.
    /// </param>
    /// <param name="rate">The price of an hour of the device, at least 0.</param>
    /// <param name="trainingRate">The price of an hour of the device that trained the heads; null means <paramref name="rate"/>.</param>
    /// <param name="currency">The currency. Default USD.</param>
    /// <exception cref="KoalaException">A rate is out of range, or a file is missing or no report with speeds.</exception>
    public static CostReport Create(IReadOnlyList<string> files, double rate, double? trainingRate = null, string currency = "USD")
    {
        ArgumentNullException.ThrowIfNull(files);
        ArgumentNullException.ThrowIfNull(currency);
        CheckRate(nameof(Rate), rate);
        CheckRate(nameof(TrainingRate), trainingRate ?? rate);
        return new CostReport(rate, trainingRate ?? rate, currency, [.. files.Select(file => Row(file, rate, trainingRate ?? rate))]);
    }

    /// <summary>The table that the command prints.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"at {Rate} {Currency} per device-hour, training at {TrainingRate}\n\n");
        var head = Math.Max("head".Length, Heads.Select(row => row.Head.Length).Append(0).Max());
        text.Append("head".PadRight(head)).Append("  tokens/s alone  with the head  ");
        text.Append(CultureInfo.InvariantCulture, $"{Currency} per million tokens alone  with the head  training  paid for itself after\n");
        foreach (var row in Heads)
        {
            text.Append(row.Head.PadRight(head)).Append(CultureInfo.InvariantCulture, $"  {row.Alone.TokensPerSecond,14:F0}  ");
            text.Append(CultureInfo.InvariantCulture, $"{row.WithHead.TokensPerSecond,13:F0}  ");
            text.Append(CultureInfo.InvariantCulture, $"{row.Alone.PerMillionTokens.ToString("G3", CultureInfo.InvariantCulture),28}  ");
            text.Append(CultureInfo.InvariantCulture, $"{row.WithHead.PerMillionTokens.ToString("G3", CultureInfo.InvariantCulture),13}  ");
            var training = row.Training is { } cost ? cost.ToString("G3", CultureInfo.InvariantCulture) : "unknown";
            text.Append(CultureInfo.InvariantCulture, $"{training,8}  {PaysAfter(row)}\n");
        }
        return text.ToString();
    }

    private static string PaysAfter(HeadCost row) => row switch
    {
        { IsFaster: false } => "not distinguishable from the target alone",
        { PaysAfterTokens: { } tokens } => string.Create(CultureInfo.InvariantCulture, $"{tokens / 1e6:G3} million tokens"),
        { Training: null } => "unknown",
        _ => "never: it costs more than the target alone",
    };

    private static HeadCost Row(string file, double rate, double trainingRate)
    {
        var run = RunOf(file);
        var reportFile = Directory.Exists(file) ? NewestReport(file) : file;
        var report = ReportFiles.Load(reportFile);
        if (!double.IsFinite(report.Baseline.TokensPerSecond) || !double.IsFinite(report.Speculative.TokensPerSecond))
            throw new KoalaException(reportFile, "has no speeds, since the measurement was disturbed or too short", "measure again");
        var seconds = run is null ? null : TrainingSeconds(run);
        return new HeadCost(report.Head, report.Target, report.Device, Side(report.Baseline, rate), Side(report.Speculative, rate))
        {
            IsFaster = !(report.Speedup.Low <= 1) && report.Speedup.Median > 1,
            TrainingHours = seconds / 3600,
            Training = seconds / 3600 * trainingRate,
        };
    }

    private static ServingCost Side(Throughput throughput, double rate)
    {
        var hours = 1e6 / throughput.TokensPerSecond / 3600;
        return new ServingCost(throughput.TokensPerSecond, hours, hours * rate);
    }

    // A run, or the run that a report in its folder of results belongs to.
    private static RunFolder? RunOf(string file)
    {
        if (Directory.Exists(file)) return RunFolder.Open(file);
        var results = Path.GetDirectoryName(Path.GetFullPath(file));
        var parent = Path.GetDirectoryName(results);
        if (parent is null || !RunFolder.IsRun(parent)) return null;
        var run = RunFolder.Open(parent);
        return run.ResultsFolder == results ? run : null;
    }

    private static string NewestReport(string run)
    {
        var results = RunFolder.Open(run).ResultsFolder;
        var reports = Directory.Exists(results) ? Directory.GetFiles(results, "*.json") : [];
        return reports.MaxBy(File.GetLastWriteTimeUtc)
            ?? throw new KoalaException(run, "has no report of an evaluation", "evaluate its head, or name the file of a report");
    }

    private static double? TrainingSeconds(RunFolder run)
    {
        var lines = MetricsLog.Read(run.MetricsFile);
        return lines.Count > 0 && lines[^1].Values.TryGetValue("seconds", out var seconds) ? seconds : null;
    }

    private static void CheckRate(string option, double rate)
    {
        if (!double.IsFinite(rate) || rate < 0)
        {
            var fault = string.Create(CultureInfo.InvariantCulture, $"is {rate}, but an hour has a price of 0 or more");
            throw KoalaException.ForOption(option, fault, "give the price of a device-hour");
        }
    }
}

/// <summary>The costs of one head.</summary>
/// <param name="Head">The name of the head.</param>
/// <param name="Target">The target.</param>
/// <param name="Device">cpu or cuda.</param>
/// <param name="Alone">The target alone.</param>
/// <param name="WithHead">The target with the head.</param>
public sealed record HeadCost(string Head, string Target, string Device, ServingCost Alone, ServingCost WithHead)
{
    /// <summary>Whether the head is faster than the target alone: the interval of its speedup lies above 1, or there is none.</summary>
    public required bool IsFaster { get; init; }

    /// <summary>The hours of training; null if they are not known.</summary>
    public double? TrainingHours { get; init; }

    /// <summary>The price of training; null if the hours are not known.</summary>
    public double? Training { get; init; }

    /// <summary>The tokens after which the head has paid for its training; null if it never does, or if the price is not known.</summary>
    public double? PaysAfterTokens
    {
        get
        {
            var saved = Alone.PerMillionTokens - WithHead.PerMillionTokens;
            return saved > 0 && IsFaster ? 1e6 * Training / saved : null;
        }
    }
}

/// <summary>What a million tokens cost.</summary>
/// <param name="TokensPerSecond">The measured speed.</param>
/// <param name="HoursPerMillionTokens">The hours of the device.</param>
/// <param name="PerMillionTokens">The price.</param>
public sealed record ServingCost(double TokensPerSecond, double HoursPerMillionTokens, double PerMillionTokens);
