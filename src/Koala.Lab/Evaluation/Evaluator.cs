using System.Diagnostics;
using Koala.Lab.Data;
using Koala.Lab.Decoding;
using Koala.Lab.Heads;
using Koala.Lab.Runtime;
using Koala.Lab.Targets;
using MathNet.Numerics.Statistics;
using TorchSharp;

namespace Koala.Lab.Evaluation;

/// <summary>Measures a head against its target alone: the same prompts, in one process, in turn, by the same loop and the same step.</summary>
public static class Evaluator
{
    // On a CPU, short answers until .NET has compiled what is busiest: it takes a core of two while it does. On a GPU every new width of
    // attention is compiled, so that a whole answer goes ahead.
    private const int WarmupTokens = 16;
    private static readonly TimeSpan s_cpuWarmup = TimeSpan.FromSeconds(1.5);

    /// <param name="target">The target.</param>
    /// <param name="head">A head made for it.</param>
    /// <param name="name">What the report calls the head.</param>
    /// <param name="prompts">Those that do not fit the context are counted and left out.</param>
    /// <param name="options">Null: the defaults.</param>
    /// <param name="progress">Told after every prompt.</param>
    /// <param name="cancel">Looked at between rounds.</param>
    /// <exception cref="KoalaException">An option is out of range, or no prompt is left to measure.</exception>
    public static EvaluationReport Run(Target target, DraftHead head, string name, IReadOnlyList<Prompt> prompts, EvaluationOptions? options = null,
        IProgress<EvaluationProgress>? progress = null, CancellationToken cancel = default)
    {
        options ??= new EvaluationOptions();
        options.Validate();
        using var alone = new SpeculativeDecoder(target);
        using var speculative = new SpeculativeDecoder(target, head);
        var (measured, skipped) = (new List<Measurement>(), 0);
        for (var i = 0; i < prompts.Count; i++)
        {
            var dialogue = new Dialogue(target, prompts[i], options.AllTurns);
            while (dialogue.Next() is { } prompt)
            {
                if (prompt.Count >= target.Config.ContextLength)
                {
                    skipped++;
                    break;
                }
                // A stream an answer: two turns, or one prompt twice, do not draw alike.
                var generation = options.Generation with { Stream = measured.Count };
                if (measured.Count == 0) Warm(target, prompt, generation, cancel, alone, speculative);
                var measurement = Measure(target, prompts[i].Category, prompt, generation, options.Repeats, aloneFirst: measured.Count % 2 == 0, alone, speculative, cancel);
                measured.Add(measurement);
                dialogue.Answer(measurement.Alone.Text);
            }
            progress?.Report(new EvaluationProgress(i + 1, prompts.Count));
        }
        if (measured.Count == 0)
            throw new KoalaException("the prompts", $"leave nothing to measure ({skipped} skipped: longer than the context of {target.Config.ContextLength})", "give shorter prompts");
        return Report(target, head, name, options, measured, skipped);
    }

    private static void Warm(Target target, IReadOnlyList<int> prompt, GenerationOptions options, CancellationToken cancel, params SpeculativeDecoder[] decoders)
    {
        var (tokens, least) = target.Device.type == DeviceType.CUDA ? (options.MaxTokens, TimeSpan.Zero) : (WarmupTokens, s_cpuWarmup);
        var began = Stopwatch.GetTimestamp();
        do
            foreach (var decoder in decoders) decoder.Generate(prompt, options with { MaxTokens = tokens }, cancel: cancel);
        while (Stopwatch.GetElapsedTime(began) < least);
    }

    private static Measurement Measure(Target target, string category, IReadOnlyList<int> prompt, GenerationOptions options, int repeats,
        bool aloneFirst, SpeculativeDecoder alone, SpeculativeDecoder speculative, CancellationToken cancel)
    {
        var pairs = new List<(Generation Alone, Generation Speculative)>();
        for (var r = 0; r < repeats; r++)
        {
            // Who goes first alternates from prompt to prompt and from repeat to repeat, so that neither always finds the warmer machine.
            var first = aloneFirst == (r % 2 == 0) ? alone.Generate(prompt, options, cancel: cancel) : null;
            var second = speculative.Generate(prompt, options, cancel: cancel);
            pairs.Add((first ?? alone.Generate(prompt, options, cancel: cancel), second));
        }
        return new Measurement(category, pairs[0].Alone, pairs[0].Speculative,
            pairs.Select(p => p.Alone.SecondsPerToken).Median(), pairs.Select(p => p.Speculative.SecondsPerToken).Median(),
            options.Temperature == 0 ? Equality.Of(target, pairs[0].Alone, pairs[0].Speculative) : null);
    }

    private static EvaluationReport Report(Target target, DraftHead head, string name, EvaluationOptions options, List<Measurement> measured, int skipped)
    {
        var rounds = measured.SelectMany(m => m.Speculative.Rounds).ToArray();
        var greedy = options.Generation.Temperature == 0;
        var shape = options.Generation.ShapeFor(head.MaxDraftLength);
        return new EvaluationReport
        {
            Target = target.Name,
            Head = name,
            Device = Devices.Name(target.Device),
            Dtype = Dtypes.Name(target.Dtype),
            Threads = torch.get_num_threads(),
            Temperature = options.Generation.Temperature,
            Acceptance = options.Generation.Acceptance,
            DraftLength = shape.Depth,
            Tree = new TreeReport(shape.Name, shape.Nodes, shape.Depth),
            Repeats = options.Repeats,
            Prompts = measured.Count,
            Skipped = skipped,
            Tokens = measured.Sum(m => (long)m.Speculative.Tokens.Count),
            Lossless = greedy ? measured.All(m => m.Equality != Equality.Kind.Different) : null,
            NearTies = greedy ? measured.Count(m => m.Equality == Equality.Kind.NearTie) : null,
            EqualAnswers = greedy ? measured.Count(m => m.Equality == Equality.Kind.Equal) : null,
            AcceptanceLength = AcceptanceLengthOf(measured),
            PositionAcceptance = new DecodingTrace(rounds).PositionAcceptance,
            TreeNodeAcceptance = new DecodingTrace(rounds).TreeNodeAcceptance,
            Baseline = PaceOf(measured, m => m.Alone, m => m.AloneSecondsPerToken),
            Speculative = PaceOf(measured, m => m.Speculative, m => m.SpeculativeSecondsPerToken),
            Speedup = SpeedupOf(measured),
            Round = rounds.Length == 0 ? new RoundTimes(double.NaN, double.NaN, double.NaN)
                : new RoundTimes(rounds.Average(r => r.DraftMs), rounds.Average(r => r.VerifyMs), rounds.Average(r => r.BookkeepingMs)),
            ByCategory = [.. measured.GroupBy(m => m.Category).OrderBy(g => g.Key, StringComparer.Ordinal)
                .Select(g => new CategoryReport(g.Key, g.Count(), AcceptanceLengthOf([.. g]), SpeedupOf([.. g])))],
        };
    }

    private static MeanInterval AcceptanceLengthOf(IReadOnlyList<Measurement> measured)
    {
        static double Pooled(IReadOnlyList<Measurement> sample) => new DecodingTrace([.. sample.SelectMany(m => m.Speculative.Rounds)]).AcceptanceLength;
        // An answer of one token has no round and says nothing about it.
        var withRounds = measured.Where(m => m.Speculative.Rounds.Count > 0).ToArray();
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

    private static Pace PaceOf(IReadOnlyList<Measurement> measured, Func<Measurement, Generation> side, Func<Measurement, double> secondsPerToken)
    {
        var timed = measured.Where(m => double.IsFinite(secondsPerToken(m))).ToArray();
        var tokens = timed.Sum(m => side(m).Tokens.Count - 1);
        return new Pace(tokens / timed.Sum(m => secondsPerToken(m) * (side(m).Tokens.Count - 1)),
            timed.SelectMany(m => side(m).Rounds).Select(r => r.VerifyMs).Median());
    }
}

/// <summary>Prompts done of all.</summary>
public readonly record struct EvaluationProgress(int Done, int Total);

/// <summary>Both sides' answers to one prompt, and the median seconds a token over repeats.</summary>
internal sealed record Measurement(string Category, Generation Alone, Generation Speculative, double AloneSecondsPerToken, double SpeculativeSecondsPerToken, Equality.Kind? Equality);
