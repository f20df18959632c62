using Koala.Lab.Charts.Figures;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Evaluation;
using Koala.Lab.Runs;
using Koala.Lab.Training;

namespace Koala.Lab.Charts;

/// <summary>The charts of decoding, training and evaluation. Each is a <see cref="Figure"/>: as a cell's last value it is shown.</summary>
public static class Chart
{
    /// <summary>α₁, α₂ … of a trace, as bars: of the rounds that came to a depth, the share that accepted the candidate there.</summary>
    public static Figure PositionAcceptance(DecodingTrace trace) => new(AcceptanceFigures.ByPosition([("trace", trace.PositionAcceptance)]));

    /// <summary>α₁, α₂ … of reports, side by side.</summary>
    public static Figure PositionAcceptance(params IEnumerable<EvaluationReport> reports) => new(AcceptanceFigures.ByPosition(All(reports)));

    /// <summary>Tokens committed a round, split into accepted and bonus, with their mean τ. Beyond 100 rounds a bar is the mean of several.</summary>
    public static Figure AcceptanceLength(DecodingTrace trace) => new(AcceptanceFigures.LengthByRound(trace));

    /// <summary>Milliseconds of each round, split into draft, verify and bookkeeping. Beyond 100 rounds a bar is the mean of several.</summary>
    public static Figure RoundTimes(DecodingTrace trace) => new(RoundTimeFigures.ByRound(trace));

    /// <summary>Mean milliseconds of a round, split into draft, verify and bookkeeping, a bar a report.</summary>
    public static Figure RoundTimes(params IEnumerable<EvaluationReport> reports) => new(RoundTimeFigures.ByReport(All(reports)));

    /// <summary>The draft tree of a round, level by level from the root: the accepted path, what was rejected, and the bonus token; a pointer on a token tells the target's p and the head's q.</summary>
    /// <exception cref="KoalaException">The round's candidates were not recorded: that takes <see cref="GenerationOptions.FullTrace"/>.</exception>
    public static Figure DraftTree(Round round) => new(DraftTreeFigure.Create(round));

    /// <summary>Speedups with their intervals, one below the other; a line marks 1, no gain.</summary>
    public static Figure Speedup(params IEnumerable<EvaluationReport> reports) => new(SpeedFigures.Speedup(All(reports)));

    /// <summary>Tokens a second against K, with the target alone beside them.</summary>
    public static Figure ThroughputByLayers(params IEnumerable<LayerSweepPoint> points) => new(SpeedFigures.ThroughputByLayers([.. points]));

    /// <summary>What training minimised, the cross-entropy of each depth, and the losses of the adversary where there is one, in nats. Beyond 200 steps a point is the mean of several.</summary>
    public static Figure TrainingLosses(IEnumerable<StepMetrics> metrics) => new(TrainingFigures.Losses(Lines(metrics)));

    /// <summary>The same of a run's metrics.jsonl; also of a run that is still at work.</summary>
    /// <exception cref="KoalaException">The file cannot be read or is damaged.</exception>
    public static Figure TrainingLosses(RunFolder run) => new(TrainingFigures.Losses(MetricsLog.Read(run.MetricsFile)));

    /// <summary>Held-out accuracy by depth against the target's best token, and how often the discriminator is right (0.5 is guessing).</summary>
    public static Figure TrainingAccuracy(IEnumerable<StepMetrics> metrics) => new(TrainingFigures.Accuracies(Lines(metrics)));

    /// <summary>The same of a run's metrics.jsonl; also of a run that is still at work.</summary>
    /// <exception cref="KoalaException">The file cannot be read or is damaged.</exception>
    public static Figure TrainingAccuracy(RunFolder run) => new(TrainingFigures.Accuracies(MetricsLog.Read(run.MetricsFile)));

    internal static MetricsLine Line(StepMetrics metrics) => new(metrics.Step, new Dictionary<string, double>(metrics.Values));

    private static IReadOnlyList<MetricsLine> Lines(IEnumerable<StepMetrics> metrics) => [.. metrics.Select(Line)];

    private static IReadOnlyList<EvaluationReport> All(IEnumerable<EvaluationReport> reports) => [.. reports];
}
