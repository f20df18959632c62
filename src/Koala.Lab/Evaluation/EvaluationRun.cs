using System.Runtime;
using Koala.Lab.Data;
using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Cost;
using Koala.Lab.Decoding.Trace;
using Koala.Lab.Drafting;
using Koala.Lab.Evaluation.Acceptance;
using Koala.Lab.Evaluation.Statistics;
using Koala.Lab.Runtime.Machine;
using Koala.Lab.Targets;
using TorchSharp;
using static Koala.Lab.Evaluation.Statistics.EvaluationStatistics;

namespace Koala.Lab.Evaluation;

/// <summary>
/// One evaluation. Each group of prompts is answered by the baseline and by the target with the drafter, one directly after the other, so
/// that other work on the machine affects both.
/// </summary>
/// <remarks>The methods are called in their order here: prepare once, measure each group of prompts, count n-alpha, report.</remarks>
internal sealed class EvaluationRun : IDisposable
{
    // On a CPU, short answers are generated until .NET has compiled the hot code, because the compiler takes a core from the answers. On a
    // GPU every new width of attention is compiled, so a whole answer is generated.
    private const int WarmupTokens = 16;
    private const double CompilerIsDone = 0.05;         // of a period of the warm-up
    private static readonly TimeSpan s_cpuPeriod = TimeSpan.FromSeconds(0.75);
    private static readonly TimeSpan s_longestWarmup = TimeSpan.FromSeconds(3);

    // The time for choosing a draft length.
    private static readonly TimeSpan s_choosing = TimeSpan.FromSeconds(4);

    // n-alpha is counted for this many answers at a time, which costs little more than for one.
    private const int AlphaAnswers = TeacherForcing.BatchSize;

    private readonly Target _target;
    private readonly IDraftSource _source;
    private readonly EvaluationOptions _options;
    private readonly CancellationToken _cancel;
    private readonly SpeculativeDecoder _baseline;
    private readonly SpeculativeDecoder _speculative;
    private readonly List<Measurement> _measured = [];
    private readonly List<Generation> _answers = [];    // the target's own answers, in the order of the measurements
    private readonly List<NAlphaCounts> _alpha = [];    // one for each of the first of these answers
    private DraftPlan? _plan;
    private ProcessorTimes? _start;                     // at the end of the warm-up
    private int _skipped;

    public EvaluationRun(Target target, IDraftSource source, EvaluationOptions options, CancellationToken cancel)
    {
        _target = target;
        _source = source;
        _options = options;
        _cancel = cancel;
        _baseline = new SpeculativeDecoder(target);
        _speculative = new SpeculativeDecoder(target, source) { ChooseDraftLength = false };
    }

    /// <summary>Warms up both sides, chooses the draft length if it is not given, and measures what rounds cost.</summary>
    /// <exception cref="KoalaException">No prompt fits the context.</exception>
    public void Prepare(IReadOnlyList<Prompt> prompts)
    {
        Prompt[][] groups = [.. PromptGroups.ByCategory(prompts, _options.Batch)];
        var first = groups.Select(FirstTurns).FirstOrDefault(turns => turns.Length > 0)
            ?? throw new KoalaException("the prompts",
                $"leave nothing to measure ({prompts.Count} skipped: longer than the context of {_target.Config.ContextLength})",
                "give shorter prompts");
        WarmUp(first);
        _start = ProcessorTimes.Read();
        _plan = _options.ChoosesDraftLength ? PlanOfChosenLength(groups) : PlanOfGivenDraft();
    }

    /// <summary>Measures a group of prompts turn by turn; each turn follows the target's own answers to the turns before.</summary>
    public void Measure(Prompt[] group)
    {
        List<(string Prompt, Dialogue Dialogue)> open =
            [.. group.Select(prompt => (prompt.Id, new Dialogue(_target, prompt, _options.AllTurns)))];
        for (var number = 1; NextTurn(open) is { Count: > 0 } turn; number++)
        {
            var measurement = MeasureTurn(group[0].Category, [.. open.Select(o => o.Prompt)], number, turn);
            _measured.Add(measurement);
            _answers.AddRange(measurement.Baseline.Answers);
            for (var i = 0; i < turn.Count; i++) open[i].Dialogue.Answer(measurement.Baseline.Answers[i].Text);
        }
        // n-alpha is counted in between, as soon as it is cheap, so that the progress includes it.
        if (_answers.Count - _alpha.Count >= AlphaAnswers) CountAlpha();
    }

    /// <summary>Counts n-alpha along those of the target's answers for which it is not counted yet.</summary>
    public void CountAlpha()
    {
        Generation[] uncounted = [.. _answers.Skip(_alpha.Count)];
        _alpha.AddRange(NAlpha.Count(_target, _source, uncounted, _options.Generation, _cancel));
    }

    /// <summary>The report; without speeds if other work disturbed the measurement.</summary>
    /// <param name="name">The name of the drafter in the report.</param>
    public EvaluationReport Report(string name)
    {
        var report = ReportOfAll(name) with { Load = MachineLoad.Between(_start!, ProcessorTimes.Read()) };
        string[] ofLoad = [.. Disturbances.OfLoad(report.Load, _options.Limits)];
        string[] disturbances =
        [
            .. ofLoad,
            // The load of the whole measurement says what its part would say again.
            .. Disturbances.OfCost(ofLoad.Length > 0 ? _plan!.Cost with { Load = null } : _plan!.Cost, _options.Limits),
            .. Disturbances.OfPrediction(
                report.Speculative.TokensPerSecond / report.Baseline.TokensPerSecond, PredictedThroughputRatio(), _options.Limits),
        ];
        report = report with { Disturbances = disturbances };
        if (disturbances.Length > 0) return report.WithoutSpeeds();
        // Whoever sets no limits takes times as they come.
        return _options.Limits == DisturbanceLimits.None || !double.IsFinite(report.Baseline.StepMs) ? report
            : report with { Floor = MemoryFloor.Measure(_target, report.Baseline.StepMs) };
    }

    // What the cost of the rounds predicts for all tokens and all rounds together. The rows of a batch end at different times, so the
    // cost of full batches predicts nothing for them.
    private double PredictedThroughputRatio()
    {
        if (_options.Batch > 1) return double.NaN;
        var cost = _plan!.Cost;
        var milliseconds = _measured.SelectMany(m => m.Speculative.Rounds).Sum(round => cost.RoundMs(round.Drafted));
        return _measured.Sum(m => m.Speculative.RoundTokens) * cost.BaselineMs / milliseconds;
    }

    private EvaluationReport ReportOfAll(string name)
    {
        var (generation, tree, cost) = _plan!;
        var greedy = generation.Temperature == 0;
        Round[] rounds = [.. _measured.SelectMany(m => m.Speculative.Rounds)];
        var trace = new DecodingTrace(rounds);
        var matches = _measured.SelectMany(m => m.OutputMatch).ToArray();
        var acceptanceLength = AcceptanceLengthOf(_measured);
        var breakEven = cost.BreakEven([.. rounds.Select(r => r.Drafted)]);
        return new EvaluationReport(Circumstances.Create(_target, name, generation.Temperature, _options.Batch))
        {
            Acceptance = generation.Acceptance,
            Tree = TreeReport.Of(tree),
            DraftLength = tree.Depth,
            DraftLengthChosen = _options.ChoosesDraftLength,
            DraftCandidates = _plan!.Candidates.Count == 0 ? null : [.. _plan.Candidates.Select(CandidateReport.Of)],
            Repeats = _options.Repeats,
            Prompts = _answers.Count,
            Skipped = _skipped,
            Tokens = _measured.SelectMany(m => m.Speculative.Answers).Sum(answer => (long)answer.Tokens.Count),
            Lossless = greedy && rounds.Any(round => round.Drafted > 0) ? matches.All(kind => kind != OutputMatch.Kind.Different) : null,
            NearTies = greedy && OutputMatch.HasNearTies(_target) ? matches.Count(kind => kind == OutputMatch.Kind.NearTie) : null,
            EqualAnswers = greedy ? matches.Count(kind => kind == OutputMatch.Kind.Equal) : null,
            AcceptanceLength = acceptanceLength,
            PositionAcceptance = trace.PositionAcceptance,
            PositionRounds = trace.PositionRounds,
            NAlpha = NAlpha.Rates(_alpha),
            ConfidenceThreshold = generation.ConfidenceThreshold > 0 ? generation.ConfidenceThreshold : null,
            Calibration = CalibrationCounts.Of([.. _alpha.Select(counts => counts.Calibration)]),
            ByContextLength = ContextBin.Of(_measured.SelectMany(m => m.Speculative.Answers)),
            TreeNodeAcceptance = trace.TreeNodeAcceptance,
            Baseline = ThroughputOf(_measured.Select(m => m.Baseline), _options.Limits.ShortestSeconds),
            Speculative = ThroughputOf(_measured.Select(m => m.Speculative), _options.Limits.ShortestSeconds),
            Speedup = SpeedupOf(_measured, _options.Limits.ShortestSeconds),
            Predicted = acceptanceLength.Mean / breakEven,
            BreakEven = breakEven,
            Round = RoundTimesOf(rounds),
            ByCategory = ReportByCategory(),
            Answers = [.. _measured.SelectMany(AnswerReport.Of)],
        };
    }

    public void Dispose()
    {
        _baseline.Dispose();
        _speculative.Dispose();
    }

    private void WarmUp(IReadOnlyList<int>[] prompts)
    {
        var onCpu = _target.Device.type != DeviceType.CUDA;
        var tokens = onCpu ? Math.Min(_options.Generation.MaxTokens, WarmupTokens) : _options.Generation.MaxTokens;
        var options = _options.Generation with { MaxTokens = tokens };
        var began = TimeProvider.System.GetTimestamp();
        // Whoever sets no limits takes times as they come.
        var longest = _options.Limits == DisturbanceLimits.None ? TimeSpan.Zero : s_longestWarmup;
        while (!IsWarmAfter(onCpu ? s_cpuPeriod : TimeSpan.Zero) && TimeProvider.System.GetElapsedTime(began) < longest) { }

        bool IsWarmAfter(TimeSpan period)
        {
            var (start, compiled) = (TimeProvider.System.GetTimestamp(), JitInfo.GetCompilationTime());
            do
            {
                var answers = _baseline.GenerateAll(prompts, options, batch: _options.Batch, cancel: _cancel);
                _speculative.GenerateAll(prompts, options, batch: _options.Batch, cancel: _cancel);
                NAlpha.Count(_target, _source, answers, options, _cancel);
            }
            while (TimeProvider.System.GetElapsedTime(start) < period);
            return JitInfo.GetCompilationTime() - compiled <= CompilerIsDone * TimeProvider.System.GetElapsedTime(start);
        }
    }

    private DraftPlan PlanOfChosenLength(Prompt[][] groups)
    {
        var few = PromptGroups.Spread(groups).Select(FirstTurns).Where(turns => turns.Length > 0);
        var (choice, cost) = DraftLengthTuner.Measure(
            _target, _source, few, _options.Generation, s_choosing, _options.Limits, _cancel);
        var generation = choice.ApplyTo(_options.Generation);
        return new DraftPlan(generation, SpeculativeDecoder.TreeFor(_source, generation), cost) { Candidates = choice.Candidates };
    }

    private DraftPlan PlanOfGivenDraft()
    {
        var tree = SpeculativeDecoder.TreeFor(_source, _options.Generation);
        var cost = StepCost.Measure(_target, _source, StepCost.TreesUpTo(tree), _options.Generation, _options.Batch, cancel: _cancel);
        return new DraftPlan(_options.Generation, tree, cost);
    }

    private Measurement MeasureTurn(
        string category, IReadOnlyList<string> ids, int turn, IReadOnlyList<IReadOnlyList<int>> prompts)
    {
        // Each answer has its own random stream, so two turns, or the same prompt twice, draw different numbers.
        var options = _plan!.Generation with { Stream = _answers.Count };
        var (baseline, speculative) = (new List<TimedAnswers>(), new List<TimedAnswers>());
        for (var repeat = 0; repeat < _options.Repeats; repeat++)
        {
            // Which side goes first alternates from turn to turn and from repeat to repeat: neither always finds the warmer machine.
            var baselineFirst = (_measured.Count + repeat) % 2 == 0;
            if (baselineFirst) baseline.Add(Answer(_baseline));
            speculative.Add(Answer(_speculative));
            if (!baselineFirst) baseline.Add(Answer(_baseline));
        }
        var matches = options.Temperature > 0 ? []
            : baseline[0].Answers.Zip(speculative[0].Answers, (a, b) => OutputMatch.Compare(_target, a, b));
        return new Measurement(
            category, ids, turn, TimedAnswers.FromRepeats(baseline), TimedAnswers.FromRepeats(speculative), [.. matches]);

        TimedAnswers Answer(SpeculativeDecoder side)
        {
            var answers = side.GenerateAll(prompts, options, batch: _options.Batch, cancel: _cancel);
            return TimedAnswers.Of(answers, side.RoundSeconds);
        }
    }

    // The next turn of each dialogue. A dialogue that has ended, or whose turn does not fit, leaves the list.
    private List<IReadOnlyList<int>> NextTurn(List<(string Prompt, Dialogue Dialogue)> open)
    {
        var turn = new List<IReadOnlyList<int>>();
        foreach (var one in open.ToArray())
        {
            var prompt = one.Dialogue.Next();
            if (prompt is not null && Fits(prompt))
            {
                turn.Add(prompt);
                continue;
            }
            if (prompt is not null) _skipped++;
            open.Remove(one);
        }
        return turn;
    }

    private IReadOnlyList<int>[] FirstTurns(Prompt[] group)
    {
        var turns = group.Select(prompt => new Dialogue(_target, prompt, allTurns: false).Next());
        return [.. turns.OfType<IReadOnlyList<int>>().Where(Fits)];
    }

    private bool Fits(IReadOnlyList<int> prompt) => prompt.Count < _target.Config.ContextLength;

    private CategoryReport[] ReportByCategory()
    {
        var categoryOfEachAnswer = _measured.SelectMany(m => Enumerable.Repeat(m.Category, m.Baseline.Answers.Count));
        var alpha = categoryOfEachAnswer.Zip(_alpha).ToLookup(pair => pair.First, pair => pair.Second);
        var categories = _measured.GroupBy(m => m.Category).OrderBy(category => category.Key, StringComparer.Ordinal);
        return [.. categories.Select(category => ReportOf(category.Key, [.. category], alpha[category.Key]))];
    }

    private CategoryReport ReportOf(string category, IReadOnlyList<Measurement> measured, IEnumerable<NAlphaCounts> alpha)
    {
        var prompts = measured.Sum(m => m.Baseline.Answers.Count);
        var speedup = SpeedupOf(measured, _options.Limits.ShortestSeconds);
        return new CategoryReport(category, prompts, AcceptanceLengthOf(measured), speedup) { NAlpha = NAlpha.Rates(alpha) };
    }
}
