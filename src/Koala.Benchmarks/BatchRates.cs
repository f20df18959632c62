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

/// <summary>How many tokens a second the target gives alone at batch 1 and many at once, the sizes in turn in one process.</summary>
public sealed record BatchRates
{
    // Batch 1 answers a few of the prompts only, spread over all of them.
    private const int Alone = 8;

    public required IReadOnlyList<string> Command { get; init; }
    public required DateTimeOffset Measured { get; init; }
    public required GitCommit? Commit { get; init; }
    public required MachineInfo Machine { get; init; }
    public required string Target { get; init; }
    public required string Device { get; init; }
    public required string Dtype { get; init; }
    public required int Threads { get; init; }
    /// <summary>Seconds from the path to a target that can answer.</summary>
    public required double LoadSeconds { get; init; }

    /// <summary>Bytes of all weights.</summary>
    public required long WeightBytes { get; init; }

    /// <summary>The most memory the process has had, and what of the GPU's was taken at the end; batches included.</summary>
    public required long PeakMemoryBytes { get; init; }
    public required long? GpuMemoryBytes { get; init; }

    public required int Prompts { get; init; }
    public required int MaxTokens { get; init; }
    public required double Temperature { get; init; }

    /// <summary>Batch 1 first: the target alone through <see cref="SpeculativeDecoder"/>.</summary>
    public required IReadOnlyList<Rate> Batches { get; init; }

    /// <param name="Batch">Answers at once.</param>
    /// <param name="Answers">Of one repeat.</param>
    /// <param name="Tokens">Of these answers.</param>
    /// <param name="TokensPerSecond">Median over the repeats, prefill included.</param>
    /// <param name="OfBatchOne">That, by batch 1's.</param>
    /// <param name="Seconds">Where the time of the last repeat went.</param>
    public sealed record Rate(int Batch, int Answers, long Tokens, double TokensPerSecond, double OfBatchOne, BatchTimes Seconds);

    /// <param name="words">--target --device --dtype --batch --prompts --count --max-tokens --temperature --repeats, each with its value; all but the first and --prompts may be left out.</param>
    public static BatchRates Measure(IReadOnlyList<string> words)
    {
        var given = words.Skip(1).Chunk(2).ToDictionary(pair => pair[0], pair => pair[^1]);
        string Word(string name, string? standard = null) => given.GetValueOrDefault(name) ?? standard ?? throw new KoalaException(name, "is missing", $"give {name} and its value");
        int Whole(string name, int standard) => int.Parse(Word(name, standard.ToString(CultureInfo.InvariantCulture)), CultureInfo.InvariantCulture);

        var start = Stopwatch.GetTimestamp();
        using var target = Koala.Lab.Targets.Target.Load(Word("--target"), given.GetValueOrDefault("--dtype"), Word("--device", "cpu"));
        var load = Stopwatch.GetElapsedTime(start).TotalSeconds;
        var options = new GenerationOptions { MaxTokens = Whole("--max-tokens", 320), Temperature = double.Parse(Word("--temperature", "0"), CultureInfo.InvariantCulture) };
        var repeats = Whole("--repeats", 2);
        int[] sizes = [.. Word("--batch", "64").Split(',').Select(size => int.Parse(size, CultureInfo.InvariantCulture))];
        BatchPrompt[] prompts = [.. Koala.Lab.Data.Prompts.Load(Word("--prompts")).AsParallel().AsOrdered()
            .Select(p => target.Tokenizer.EncodeChat([new Message(Message.User, p.Turns[0])]))
            .Where(tokens => tokens.Count + options.MaxTokens < target.Config.ContextLength)
            .Take(Whole("--count", 200)).Select((tokens, i) => new BatchPrompt(tokens, i))];

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
            Dtype = Dtypes.Name(target.Dtype),
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

    public override string ToString() => string.Join('\n', Batches.Select(b => string.Create(CultureInfo.InvariantCulture,
        $"batch {b.Batch,4}: {b.TokensPerSecond,8:F0} tokens/s, {b.OfBatchOne,5:F1} times batch 1; {b.Answers} answers, {b.Tokens} tokens; seconds: prefill {b.Seconds.Prefill:F2}, steps {b.Seconds.Steps:F2}, host {b.Seconds.Host:F2}")));

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
            BatchPrompt[] some = [.. prompts.Where((_, i) => i % Math.Max(1, prompts.Length / Alone) == 0).Take(warmup ? 1 : Alone)];
            Generation[] answers = [.. some.Select(p => _decoder.Generate(p.Tokens, options with { Stream = p.Stream }))];
            var (all, prefill) = (answers.Sum(a => a.Seconds), answers.Sum(a => a.PrefillSeconds));
            return (answers.Length, answers.Sum(a => (long)a.Tokens.Count), new BatchTimes(prefill, all - prefill, 0));
        }
    }

    private sealed class BatchSide(Target target, GenerationOptions options, int batch) : Side(batch)
    {
        private readonly int _batch = batch;
        private readonly BatchDecoder _decoder = new(target, batch, options);

        public override void Dispose() => _decoder.Dispose();

        // The warm-up is as the real thing, so that every graph is there; it needs no more than a few batches.
        protected override (int, long, BatchTimes) Answer(BatchPrompt[] prompts, bool warmup)
        {
            var (before, answers, tokens) = (_decoder.Times, 0, 0L);
            _decoder.Run(warmup ? prompts[..Math.Min(prompts.Length, _batch)] : prompts, ended => (answers, tokens) = (answers + ended.Count, tokens + ended.Sum(a => (long)a.Tokens.Count)));
            var after = _decoder.Times;
            return (answers, tokens, new BatchTimes(after.Prefill - before.Prefill, after.Steps - before.Steps, after.Host - before.Host));
        }
    }
}
