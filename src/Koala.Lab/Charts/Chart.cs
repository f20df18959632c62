using Koala.Lab.Charts.Figures;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Evaluation;
using Koala.Lab.Evaluation.Diagnosis;
using Koala.Lab.Results;
using Koala.Lab.Runs;
using Koala.Lab.Sweeps;
using Koala.Lab.Training;

namespace Koala.Lab.Charts;

/// <summary>
/// The charts of decoding, training and evaluation. Each is a <see cref="Figure"/>, which a notebook shows as the last value of a cell.
/// </summary>
public static class Chart
{
    /// <summary>
    /// The position acceptance α₁, α₂ … of a trace as bars: of the rounds that reached a depth,
    /// the share that accepted the candidate there.
    /// </summary>
    public static Figure PositionAcceptance(DecodingTrace trace) =>
        new(AcceptanceFigures.ByPosition([("trace", trace.PositionAcceptance)]));

    /// <summary>The position acceptance α₁, α₂ … of several reports as grouped bars.</summary>
    public static Figure PositionAcceptance(params IEnumerable<EvaluationReport> reports) =>
        new(AcceptanceFigures.ByPosition(All(reports)));

    /// <summary>
    /// The acceptance of a head by depth, teacher-forced and free-running, beside what other heads of its kind reach teacher-forced.
    /// </summary>
    public static Figure AcceptanceByDepth(HeadDiagnosis head) => new(AcceptanceFigures.ByDepth(head));

    /// <summary>The acceptance length of several reports by the length of the context at the beginning of a round.</summary>
    public static Figure AcceptanceByContextLength(params IEnumerable<EvaluationReport> reports) =>
        new(AcceptanceFigures.ByContextLength(All(reports)));

    /// <summary>
    /// The reliability of a head's confidences: the share of accepted tokens over their mean confidence, in tenths, with the line on which
    /// the two are equal. Without <see cref="EvaluationReport.Calibration"/> it has no data.
    /// </summary>
    public static Figure Reliability(EvaluationReport report) => new(AcceptanceFigures.Reliability(report));

    /// <summary>
    /// The tokens committed per round, split into accepted tokens and bonus token, with their mean τ. Beyond 100 rounds a bar is the mean
    /// of several rounds.
    /// </summary>
    public static Figure AcceptanceLength(DecodingTrace trace) => new(AcceptanceFigures.LengthByRound(trace));

    /// <summary>
    /// The milliseconds of each round, split into draft, verify and bookkeeping. Beyond 100 rounds a bar is the mean of several rounds.
    /// </summary>
    public static Figure RoundTimes(DecodingTrace trace) => new(RoundTimeFigures.ByRound(trace));

    /// <summary>The mean milliseconds per round, split into draft, verify and bookkeeping, with one bar per report.</summary>
    public static Figure RoundTimes(params IEnumerable<EvaluationReport> reports) => new(RoundTimeFigures.ByReport(All(reports)));

    /// <summary>
    /// The draft tree of a round, level by level from the root, with the accepted path, the rejected candidates and the bonus token.
    /// Hovering over a token shows the target's p and the head's q.
    /// </summary>
    /// <exception cref="KoalaException">
    /// The candidates of the round were not recorded, which needs <see cref="GenerationOptions.FullTrace"/>.
    /// </exception>
    public static Figure DraftTree(Round round) => new(DraftTreeFigure.Create(round));

    /// <summary>The speedups with their intervals, one below the other. A line marks 1, which is no gain.</summary>
    public static Figure Speedup(params IEnumerable<EvaluationReport> reports) => new(SpeedFigures.Speedup(All(reports)));

    /// <summary>The tokens per second over K, with the baseline for comparison.</summary>
    public static Figure ThroughputByLayers(params IEnumerable<LayerSweepPoint> points) =>
        new(SpeedFigures.ThroughputByLayers([.. points]));

    /// <summary>The acceptance length over K, or over another option of a sweep, with intervals over seeds and prompts.</summary>
    /// <param name="sweep">The sweep, whose finished cells count.</param>
    /// <param name="over">The name of an option that varies. Null means <c>layers</c>, or the first one if K does not vary.</param>
    /// <exception cref="KoalaException">The option does not vary, or a file of the sweep cannot be read.</exception>
    public static Figure AcceptanceLength(Sweep sweep, string? over = null) =>
        new(SweepFigures.AcceptanceLength(sweep.Summarize(), over));

    /// <summary>
    /// The speedup over K, or over another option of a sweep, with intervals over seeds and prompts. A line marks 1, which is no gain.
    /// </summary>
    /// <inheritdoc cref="AcceptanceLength(Sweep, string?)"/>
    public static Figure Speedup(Sweep sweep, string? over = null) => new(SweepFigures.Speedup(sweep.Summarize(), over));

    /// <summary>
    /// The minimised loss, the cross-entropy of each depth, and the losses of the adversary where there is one, in nats. Beyond 200 steps
    /// a point is the mean of several steps.
    /// </summary>
    public static Figure TrainingLosses(IEnumerable<StepMetrics> metrics) => new(TrainingFigures.Losses(Lines(metrics)));

    /// <summary>The same chart from the metrics.jsonl of a run, which may still be in progress.</summary>
    /// <exception cref="KoalaException">The file cannot be read or is damaged.</exception>
    public static Figure TrainingLosses(RunFolder run) => new(TrainingFigures.Losses(MetricsLog.Read(run.MetricsFile)));

    /// <summary>
    /// The held-out accuracy by depth against the target's best token, and the accuracy of the discriminator (0.5 is guessing).
    /// </summary>
    public static Figure TrainingAccuracy(IEnumerable<StepMetrics> metrics) => new(TrainingFigures.Accuracies(Lines(metrics)));

    /// <summary>The same chart from the metrics.jsonl of a run, which may still be in progress.</summary>
    /// <exception cref="KoalaException">The file cannot be read or is damaged.</exception>
    public static Figure TrainingAccuracy(RunFolder run) => new(TrainingFigures.Accuracies(MetricsLog.Read(run.MetricsFile)));

    /// <summary>
    /// The acceptance length in training: what the rows of a step predict for sampling at temperature 1, and the greedy one on
    /// held-out rows, predicted with the text's tokens and measured in real drafting.
    /// </summary>
    public static Figure TrainingTau(IEnumerable<StepMetrics> metrics) => new(TrainingFigures.Tau(Lines(metrics)));

    /// <summary>The same chart from the metrics.jsonl of a run, which may still be in progress.</summary>
    /// <exception cref="KoalaException">The file cannot be read or is damaged.</exception>
    public static Figure TrainingTau(RunFolder run) => new(TrainingFigures.Tau(MetricsLog.Read(run.MetricsFile)));

    /// <summary>The discriminator's mean scores of the target's and of the head's.</summary>
    public static Figure DiscriminatorScores(IEnumerable<StepMetrics> metrics) => new(TrainingFigures.DiscriminatorScores(Lines(metrics)));

    /// <summary>The same chart from the metrics.jsonl of a run, which may still be in progress.</summary>
    /// <exception cref="KoalaException">The file cannot be read or is damaged.</exception>
    public static Figure DiscriminatorScores(RunFolder run) =>
        new(TrainingFigures.DiscriminatorScores(MetricsLog.Read(run.MetricsFile)));

    /// <summary>The minimised loss of several runs, one line per run. Runs without metrics have no line.</summary>
    /// <exception cref="KoalaException">A metrics.jsonl cannot be read or is damaged.</exception>
    public static Figure TrainingLosses(RunTable runs) =>
        new(TrainingFigures.LossByRun([.. runs.Rows.Select(row => (row.Name, MetricsLog.Read(row.Folder.MetricsFile)))]));

    /// <summary>The acceptance lengths of a report's categories with their intervals, one below the other.</summary>
    public static Figure AcceptanceLengthByCategory(EvaluationReport report) => new(CategoryFigures.AcceptanceLength(report));

    /// <summary>
    /// The speedups of a report's categories with their intervals, one below the other. A line marks 1, which is no gain.
    /// </summary>
    public static Figure SpeedupByCategory(EvaluationReport report) => new(CategoryFigures.Speedup(report));

    internal static MetricsLine Line(StepMetrics metrics) => new(metrics.Step, new Dictionary<string, double>(metrics.Values));

    private static IReadOnlyList<MetricsLine> Lines(IEnumerable<StepMetrics> metrics) => [.. metrics.Select(Line)];

    private static IReadOnlyList<EvaluationReport> All(IEnumerable<EvaluationReport> reports) => [.. reports];
}
