using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Koala.Lab;
using Koala.Lab.Decoding;
using Koala.Lab.Regeneration;
using Koala.Lab.Runs;
using Koala.Lab.Runtime;
using Koala.Lab.Runtime.Cuda;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Runtime.Machine;
using Koala.Lab.Targets;
using Koala.Lab.Text.Chat;
using MathNet.Numerics.Statistics;
using static TorchSharp.torch;

namespace Koala.Benchmarks;

/// <summary>
/// The tokens per second of the target without a drafter, at batch 1 and at larger batches. The sizes are measured alternately in one
/// process.
/// </summary>
public sealed record BatchRates
{
    // Batch 1 answers only a few of the prompts, spread over all of them.
    private const int AnswersOfBatchOne = 8;

    public required IReadOnlyList<string> Command { get; init; }
    public required DateTimeOffset Measured { get; init; }
    public required GitCommit? Commit { get; init; }
    public required MachineInfo Machine { get; init; }
    public required string Target { get; init; }
    public required string Device { get; init; }
    public required string Dtype { get; init; }
    public required int Threads { get; init; }
    /// <summary>The seconds from the path to a target that can answer.</summary>
    public required double LoadSeconds { get; init; }

    /// <summary>The bytes of all weights.</summary>
    public required long WeightBytes { get; init; }

    /// <summary>The peak memory of the process, batches included.</summary>
    public required long PeakMemoryBytes { get; init; }

    /// <summary>The GPU memory in use at the end, batches included; null without a GPU.</summary>
    public required long? GpuMemoryBytes { get; init; }

    public required int Prompts { get; init; }
    public required int MaxTokens { get; init; }
    public required double Temperature { get; init; }

    /// <summary>
    /// The rates by batch size. The first is batch 1, which is the target without a drafter in <see cref="SpeculativeDecoder"/>.
    /// </summary>
    public required IReadOnlyList<Rate> Batches { get; init; }

    /// <summary>The rate of one batch size.</summary>
    /// <param name="Batch">The batch size.</param>
    /// <param name="Answers">The number of answers of one repeat.</param>
    /// <param name="Tokens">The number of tokens of these answers.</param>
    /// <param name="TokensPerSecond">The median of the tokens per second over the repeats, prefill included.</param>
    /// <param name="OfBatchOne">The tokens per second divided by those of batch 1.</param>
    /// <param name="Seconds">The times of the parts of the last repeat.</param>
    public sealed record Rate(int Batch, int Answers, long Tokens, double TokensPerSecond, double OfBatchOne, BatchTimes Seconds);

    /// <summary>Measures the rates.</summary>
    /// <param name="words">
    /// The options --target --device --dtype --batch --prompts --count --max-tokens --temperature --repeats, each with its value. Only
    /// --target and --prompts are required.
    /// </param>
    public static BatchRates Measure(IReadOnlyList<string> words)
    {
        var given = words.Skip(1).Chunk(2).ToDictionary(pair => pair[0], pair => pair[^1]);
        string Word(string name, string? standard = null) =>
            given.GetValueOrDefault(name) ?? standard ?? throw new KoalaException(name, "is missing", $"give {name} and its value");
        int Number(string name, int standard) =>
            given.TryGetValue(name, out var word) ? int.Parse(word, CultureInfo.InvariantCulture) : standard;

        var start = Stopwatch.GetTimestamp();
        using var target = Koala.Lab.Targets.Target.Load(Word("--target"), given.GetValueOrDefault("--dtype"), Word("--device", "cpu"));
        var load = Stopwatch.GetElapsedTime(start).TotalSeconds;
        var options = new GenerationOptions
        {
            MaxTokens = Number("--max-tokens", 320),
            Temperature = double.Parse(Word("--temperature", "0"), CultureInfo.InvariantCulture),
        };
        var repeats = Number("--repeats", 2);
        int[] sizes = [.. Word("--batch", "64").Split(',').Select(size => int.Parse(size, CultureInfo.InvariantCulture))];
        var encoded = Koala.Lab.Data.Prompts.Load(Word("--prompts")).AsParallel().AsOrdered()
            .Select(p => target.Tokenizer.EncodeChat([new Message(Message.User, p.Turns[0])]));
        var fitting = encoded.Where(tokens => tokens.Count + options.MaxTokens < target.Config.ContextLength).Take(Number("--count", 200));
        BatchPrompt[] prompts = [.. fitting.Select((tokens, i) => new BatchPrompt(tokens, i))];

        Side[] sides = [new BaselineSide(target, options), .. sizes.Select(size => new BatchSide(target, options, size))];
        foreach (var side in sides) side.Run(prompts, warmup: true);
        for (var r = 0; r < repeats; r++)
            foreach (var side in sides) side.Run(prompts, warmup: false);
        var gpu = target.Device.type == TorchSharp.DeviceType.CUDA ? Gpu.UsedBytes() : null;
        foreach (var side in sides) side.Dispose();
        return new BatchRates
        {
            Command = words,
            Measured = DateTimeOffset.UtcNow,
            Commit = GitCommit.OfKoala,
            Machine = MachineInfo.Current,
            Target = target.Name,
            Device = Devices.Name(target.Device),
            Dtype = Dtypes.Name(target.WeightDtype),
            Threads = get_num_threads(),
            LoadSeconds = load,
            WeightBytes = target.WeightBytes,
            PeakMemoryBytes = Process.GetCurrentProcess().PeakWorkingSet64,
            GpuMemoryBytes = gpu,
            Prompts = prompts.Length,
            MaxTokens = options.MaxTokens,
            Temperature = options.Temperature,
            Batches = [.. sides.Select(side => side.Result(sides[0].PerSecond))],
        };
    }

    public void Save(string file) => AtomicFile.WriteText(file, JsonSerializer.Serialize(this, JsonFormat.Document) + "\n");

    public override string ToString() => string.Join('\n', Batches.Select(Line));

    private static string Line(Rate rate)
    {
        var speed = FormattableString.Invariant($"{rate.TokensPerSecond,8:F0} tokens/s, {rate.OfBatchOne,5:F1} times batch 1");
        var times = rate.Seconds;
        var seconds = FormattableString.Invariant($"prefill {times.Prefill:F2}, steps {times.Steps:F2}, host {times.Host:F2}");
        var answers = FormattableString.Invariant($"{rate.Answers} answers, {rate.Tokens} tokens");
        return FormattableString.Invariant($"batch {rate.Batch,4}: {speed}; {answers}; seconds: {seconds}");
    }

    private abstract class Side(int batch) : IDisposable
    {
        private readonly List<double> _rates = [];
        private BatchTimes _times = new(0, 0, 0);
        private int _answers;
        private long _tokens;

        public double PerSecond => _rates.Median();

        public void Run(BatchPrompt[] prompts, bool warmup)
        {
            var start = Stopwatch.GetTimestamp();
            (_answers, _tokens, _times) = Answer(prompts, warmup);
            if (!warmup) _rates.Add(_tokens / Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        public Rate Result(double batchOne) => new(batch, _answers, _tokens, PerSecond, PerSecond / batchOne, _times);

        public abstract void Dispose();

        protected abstract (int Answers, long Tokens, BatchTimes Times) Answer(BatchPrompt[] prompts, bool warmup);
    }

    private sealed class BaselineSide(Target target, GenerationOptions options) : Side(1)
    {
        private readonly SpeculativeDecoder _decoder = new(target);

        public override void Dispose() => _decoder.Dispose();

        protected override (int, long, BatchTimes) Answer(BatchPrompt[] prompts, bool warmup)
        {
            var distance = Math.Max(1, prompts.Length / AnswersOfBatchOne);
            var spread = prompts.Where((_, i) => i % distance == 0).Take(warmup ? 1 : AnswersOfBatchOne);
            Generation[] answers = [.. spread.Select(p => _decoder.Generate(p.Tokens, options with { Stream = p.Stream }))];
            var (all, prefill) = (answers.Sum(a => a.Seconds), answers.Sum(a => a.PrefillSeconds));
            return (answers.Length, answers.Sum(a => (long)a.Tokens.Count), new BatchTimes(prefill, all - prefill, 0));
        }
    }

    private sealed class BatchSide(Target target, GenerationOptions options, int batch) : Side(batch)
    {
        private readonly int _batch = batch;
        private readonly BatchDecoder _decoder = new(target, batch, options);

        public override void Dispose() => _decoder.Dispose();

        // The warm-up has the same shapes as the measurement, so that every graph is captured; one batch is enough.
        protected override (int, long, BatchTimes) Answer(BatchPrompt[] prompts, bool warmup)
        {
            var (before, answers, tokens) = (_decoder.Times, 0, 0L);
            _decoder.Run(warmup ? prompts[..Math.Min(prompts.Length, _batch)] : prompts, ended =>
            {
                answers += ended.Count;
                tokens += ended.Sum(a => (long)a.Tokens.Count);
            });
            var after = _decoder.Times;
            return (answers, tokens, new BatchTimes(after.Prefill - before.Prefill, after.Steps - before.Steps, after.Host - before.Host));
        }
    }
}
