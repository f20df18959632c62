using System.Diagnostics;
using Koala.Lab.Data;
using Koala.Lab.Decoding;
using Koala.Lab.Heads;
using Koala.Lab.Heads.Trees;
using Koala.Lab.Runtime;
using Koala.Lab.Targets;
using MathNet.Numerics.Statistics;
using TorchSharp;

namespace Koala.Lab.Evaluation;

/// <summary>Measures a head, or another drafter, against its target alone: the same prompts, in one process, in turn, by the same loop and the same step.</summary>
public static class Evaluator
{
    // On a CPU, short answers until .NET has compiled what is busiest: it takes a core of two while it does. On a GPU every new width of
    // attention is compiled, so that a whole answer goes ahead.
    private const int WarmupTokens = 16;
    private static readonly TimeSpan s_cpuWarmup = TimeSpan.FromSeconds(1.5);
    private static readonly TimeSpan s_choosing = TimeSpan.FromSeconds(4);
    private const int FewGroups = 32;

    // n-alpha is counted for so many answers at a time.
    private const int AlphaAnswers = 16;

    /// <param name="target">The target.</param>
    /// <param name="source">A head made for it, or what drafts in its place.</param>
    /// <param name="name">What the report calls it.</param>
    /// <param name="prompts">Those that do not fit the context are counted and left out.</param>
    /// <param name="options">Null: the defaults.</param>
    /// <param name="progress">Told after every group of prompts that are answered side by side.</param>
    /// <param name="cancel">Looked at between rounds.</param>
    /// <exception cref="KoalaException">An option is out of range, or no prompt is left to measure.</exception>
    public static EvaluationReport Run(Target target, IDraftSource source, string name, IReadOnlyList<Prompt> prompts, EvaluationOptions? options = null,
        IProgress<EvaluationProgress>? progress = null, CancellationToken cancel = default)
    {
        options ??= new EvaluationOptions();
        options.Validate();
        using var alone = new SpeculativeDecoder(target);
        using var speculative = new SpeculativeDecoder(target, source);
        var (measured, skipped, done, asked) = (new List<Measurement>(), 0, 0, 0);
        DraftPlan? plan = null;
        foreach (var group in Groups(prompts, options.Batch))
        {
            var dialogues = group.Select(prompt => new Dialogue(target, prompt, options.AllTurns)).ToList();
            while (NextTurn(target, dialogues, ref skipped) is { Count: > 0 } turn)
            {
                plan ??= Prepare(target, source, prompts, turn, options, alone, speculative, cancel);
                // A stream an answer: two turns, or one prompt twice, do not draw alike.
                var generation = plan.Generation with { Stream = asked };
                var measurement = Measure(target, group[0].Category, turn, generation, options.Repeats, aloneFirst: measured.Count % 2 == 0, alone, speculative, cancel);
                measured.Add(measurement);
                asked += turn.Count;
                for (var i = 0; i < turn.Count; i++) dialogues[i].Answer(measurement.Alone[i].Text);
            }
            CountAlpha(target, source, measured, options, AlphaAnswers, cancel);
            progress?.Report(new EvaluationProgress(done += group.Length, prompts.Count));
        }
        if (plan is null)
            throw new KoalaException("the prompts", $"leave nothing to measure ({skipped} skipped: longer than the context of {target.Config.ContextLength})", "give shorter prompts");
        CountAlpha(target, source, measured, options, 1, cancel);
        return Report(target, name, options, plan, measured, skipped);
    }

    // Prompts of one category side by side, so that each category has a speed; in the file's order where they stand alone.
    private static IEnumerable<Prompt[]> Groups(IReadOnlyList<Prompt> prompts, int batch) => prompts.Index()
        .GroupBy(p => p.Item.Category)
        .SelectMany(category => category.Chunk(batch))
        .OrderBy(group => group[0].Index)
        .Select(group => group.Select(p => p.Item).ToArray());

    // A few from all over the file, also where time lets only the first of them be asked: files stand in order of category, and a head is better in some.
    internal static IEnumerable<Prompt[]> Spread(Prompt[][] groups)
    {
        const double golden = 0.6180339887498949;
        return Enumerable.Range(0, FewGroups).Select(i => (int)(i * golden % 1 * groups.Length)).Distinct().Select(i => groups[i]);
    }

    // The next turn of each dialogue; those that have ended, or whose turn does not fit, are left out from here on.
    private static List<IReadOnlyList<int>> NextTurn(Target target, List<Dialogue> dialogues, ref int skipped)
    {
        var (turn, going) = (new List<IReadOnlyList<int>>(), new List<Dialogue>());
        foreach (var dialogue in dialogues)
        {
            if (dialogue.Next() is not { } prompt) continue;
            if (prompt.Count >= target.Config.ContextLength)
            {
                skipped++;
                continue;
            }
            turn.Add(prompt);
            going.Add(dialogue);
        }
        dialogues.Clear();
        dialogues.AddRange(going);
        return turn;
    }

    private static List<IReadOnlyList<int>> FirstTurns(Target target, Prompt[] group)
    {
        var skipped = 0;
        return NextTurn(target, [.. group.Select(prompt => new Dialogue(target, prompt, allTurns: false))], ref skipped);
    }

    // Everything warm, the draft length chosen where that is left open, and what rounds cost.
    private static DraftPlan Prepare(Target target, IDraftSource source, IReadOnlyList<Prompt> prompts, List<IReadOnlyList<int>> first, EvaluationOptions options,
        SpeculativeDecoder alone, SpeculativeDecoder speculative, CancellationToken cancel)
    {
        Warm(target, first, options.Generation, cancel, alone, speculative);
        if (options.ChoosesDraftLength)
        {
            var few = Spread([.. Groups(prompts, options.Batch)]).Select(group => FirstTurns(target, group)).Where(turns => turns.Count > 0);
            var (choice, measured) = DraftLengthRule.Measure(target, source, few, options.Generation, s_choosing, cancel);
            return new DraftPlan(options.Generation with { DraftLength = choice.Length }, new ChainShape(choice.Length), measured);
        }
        var shape = SpeculativeDecoder.ShapeOf(source, options.Generation);
        return new DraftPlan(options.Generation, shape, CostOf(target, source, shape, options.Generation, options.Batch, cancel));
    }

    internal static StepCost CostOf(Target target, IDraftSource source, DraftShape shape, GenerationOptions options, int batch, CancellationToken cancel) =>
        StepCost.Measure(target, source, shape is ChainShape chain ? StepCost.Chains(chain.Length) : [shape], options, batch, cancel: cancel);

    private static void Warm(Target target, IReadOnlyList<IReadOnlyList<int>> prompts, GenerationOptions options, CancellationToken cancel, params SpeculativeDecoder[] decoders)
    {
        var (tokens, least) = target.Device.type == DeviceType.CUDA ? (options.MaxTokens, TimeSpan.Zero) : (Math.Min(options.MaxTokens, WarmupTokens), s_cpuWarmup);
        var began = Stopwatch.GetTimestamp();
        do
            foreach (var decoder in decoders) decoder.GenerateAll(prompts, options with { MaxTokens = tokens }, cancel: cancel);
        while (Stopwatch.GetElapsedTime(began) < least);
    }

    private static Measurement Measure(Target target, string category, IReadOnlyList<IReadOnlyList<int>> prompts, GenerationOptions options, int repeats,
        bool aloneFirst, SpeculativeDecoder alone, SpeculativeDecoder speculative, CancellationToken cancel)
    {
        var pairs = new List<(IReadOnlyList<Generation> Alone, IReadOnlyList<Generation> Speculative)>();
        for (var r = 0; r < repeats; r++)
        {
            // Who goes first alternates from prompt to prompt and from repeat to repeat, so that neither always finds the warmer machine.
            var first = aloneFirst == (r % 2 == 0) ? alone.GenerateAll(prompts, options, cancel: cancel) : null;
            var second = speculative.GenerateAll(prompts, options, cancel: cancel);
            pairs.Add((first ?? alone.GenerateAll(prompts, options, cancel: cancel), second));
        }
        return new Measurement(category, pairs[0].Alone, pairs[0].Speculative,
            pairs.Select(p => SecondsPerToken(p.Alone)).Median(), pairs.Select(p => SecondsPerToken(p.Speculative)).Median(),
            options.Temperature == 0 ? [.. pairs[0].Alone.Zip(pairs[0].Speculative, (a, b) => Equality.Of(target, a, b))] : []);
    }

    // Of answers side by side: the group's seconds of rounds by its tokens; those of prefill are not counted. NaN when there was no round.
    private static double SecondsPerToken(IReadOnlyList<Generation> answers)
    {
        var tokens = answers.Sum(a => a.Tokens.Count - 1);
        return tokens == 0 ? double.NaN : (answers.Max(a => a.Seconds) - answers.Max(a => a.PrefillSeconds)) / tokens;
    }

    // Of the target's own answers, as soon as there are enough of them to count side by side.
    private static void CountAlpha(Target target, IDraftSource source, List<Measurement> measured, EvaluationOptions options, int least, CancellationToken cancel)
    {
        var open = measured.Where(m => m.Alpha is null).ToArray();
        if (open.Sum(m => m.Alone.Count) < least) return;
        var counts = NAlpha.Count(target, source, [.. open.SelectMany(m => m.Alone)], options.Generation, cancel);
        var at = 0;
        foreach (var m in open)
        {
            m.Alpha = [.. counts.Skip(at).Take(m.Alone.Count)];
            at += m.Alone.Count;
        }
    }

    private static EvaluationReport Report(Target target, string name, EvaluationOptions options, DraftPlan plan, List<Measurement> measured, int skipped)
    {
        var rounds = measured.SelectMany(m => m.Rounds).ToArray();
        var equal = measured.SelectMany(m => m.Equality).ToArray();
        var greedy = options.Generation.Temperature == 0;
        var acceptanceLength = AcceptanceLengthOf(measured);
        var breakEven = plan.Cost.BreakEven([.. rounds.Select(r => r.Drafted)]);
        return new EvaluationReport
        {
            Target = target.Name,
            Head = name,
            Device = Devices.Name(target.Device),
            Dtype = Dtypes.Name(target.Dtype),
            Threads = torch.get_num_threads(),
            Temperature = options.Generation.Temperature,
            Batch = options.Batch,
            Acceptance = options.Generation.Acceptance,
            Tree = new TreeReport(plan.Shape.Name, plan.Shape.Nodes, plan.Shape.Depth),
            DraftLength = plan.Shape.Depth,
            DraftLengthChosen = options.ChoosesDraftLength,
            Repeats = options.Repeats,
            Prompts = measured.Sum(m => m.Alone.Count),
            Skipped = skipped,
            Tokens = measured.Sum(m => m.Speculative.Sum(a => (long)a.Tokens.Count)),
            Lossless = greedy ? equal.All(kind => kind != Equality.Kind.Different) : null,
            NearTies = greedy ? equal.Count(kind => kind == Equality.Kind.NearTie) : null,
            EqualAnswers = greedy ? equal.Count(kind => kind == Equality.Kind.Equal) : null,
            AcceptanceLength = acceptanceLength,
            PositionAcceptance = new DecodingTrace(rounds).PositionAcceptance,
            NAlpha = NAlpha.Rates(measured.SelectMany(m => m.Alpha!)),
            TreeNodeAcceptance = new DecodingTrace(rounds).TreeNodeAcceptance,
            Baseline = PaceOf(measured, m => m.Alone, m => m.AloneSecondsPerToken),
            Speculative = PaceOf(measured, m => m.Speculative, m => m.SpeculativeSecondsPerToken),
            Speedup = SpeedupOf(measured),
            Predicted = acceptanceLength.Mean / breakEven,
            BreakEven = breakEven,
            Round = rounds.Length == 0 ? new RoundTimes(double.NaN, double.NaN, double.NaN)
                : new RoundTimes(rounds.Average(r => r.DraftMs), rounds.Average(r => r.VerifyMs), rounds.Average(r => r.BookkeepingMs)),
            ByCategory = [.. measured.GroupBy(m => m.Category).OrderBy(g => g.Key, StringComparer.Ordinal).Select(g =>
                new CategoryReport(g.Key, g.Sum(m => m.Alone.Count), AcceptanceLengthOf([.. g]), SpeedupOf([.. g])) { NAlpha = NAlpha.Rates(g.SelectMany(m => m.Alpha!)) })],
        };
    }

    private static MeanInterval AcceptanceLengthOf(IReadOnlyList<Measurement> measured)
    {
        static double Pooled(IReadOnlyList<Measurement> sample) => new DecodingTrace([.. sample.SelectMany(m => m.Rounds)]).AcceptanceLength;
        // An answer of one token has no round and says nothing about it.
        var withRounds = measured.Where(m => m.Rounds.Any()).ToArray();
        if (withRounds.Length == 0) return new MeanInterval(double.NaN, double.NaN, double.NaN);
        var (low, high) = Bootstrap.Interval(withRounds, Pooled);
        return new MeanInterval(Pooled(withRounds), low, high);
    }

    // An answer of one token has no round on either side and so no speed.
    private static MedianInterval SpeedupOf(IReadOnlyList<Measurement> measured)
    {
        var ratios = measured.Select(m => m.AloneSecondsPerToken / m.SpeculativeSecondsPerToken).Where(double.IsFinite).ToArray();
        if (ratios.Length == 0) return new MedianInterval(double.NaN, double.NaN, double.NaN);
        var (low, high) = Bootstrap.Interval(ratios, sample => sample.Median());
        return new MedianInterval(ratios.Median(), low, high);
    }

    private static Pace PaceOf(IReadOnlyList<Measurement> measured, Func<Measurement, IReadOnlyList<Generation>> side, Func<Measurement, double> secondsPerToken)
    {
        var timed = measured.Where(m => double.IsFinite(secondsPerToken(m))).ToArray();
        int TokensOf(Measurement m) => side(m).Sum(a => a.Tokens.Count - 1);
        return new Pace(timed.Sum(TokensOf) / timed.Sum(m => secondsPerToken(m) * TokensOf(m)),
            timed.SelectMany(m => side(m)).SelectMany(a => a.Rounds).Select(r => r.VerifyMs).Median());
    }
}

/// <summary>Prompts done of all.</summary>
public readonly record struct EvaluationProgress(int Done, int Total);

/// <summary>What is drafted, and what rounds with it cost.</summary>
internal sealed record DraftPlan(GenerationOptions Generation, DraftShape Shape, StepCost Cost);

/// <summary>Both sides' answers to prompts side by side, and the median seconds a token over repeats. Equality of each answer; empty when sampling.</summary>
internal sealed record Measurement(string Category, IReadOnlyList<Generation> Alone, IReadOnlyList<Generation> Speculative,
    double AloneSecondsPerToken, double SpeculativeSecondsPerToken, IReadOnlyList<Equality.Kind> Equality)
{
    /// <summary>Rounds of the speculative answers.</summary>
    public IEnumerable<Round> Rounds => Speculative.SelectMany(answer => answer.Rounds);

    /// <summary>n-alpha's counts of each answer; null before they are counted.</summary>
    public IReadOnlyList<NAlphaCounts>? Alpha { get; set; }
}
