using System.Diagnostics;
using Koala.Lab.Kernels;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Benchmarks;

/// <summary>A program whose steps are timed.</summary>
/// <param name="program">The program's name.</param>
/// <param name="weights">The type of its weights.</param>
internal abstract class StepProgram(string program, string weights) : IDisposable
{
    /// <summary>The name of this program.</summary>
    public const string Koala = "Koala";

    private readonly Dictionary<int, (List<double> Whole, List<double> Products)> _times = [];

    /// <summary>The bytes of all weights.</summary>
    protected abstract long WeightBytes { get; }

    /// <summary>Runs a step again and again.</summary>
    public void WarmUp(int[] tokens, TimeSpan time)
    {
        for (var start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start) < time;) Step(tokens);
    }

    /// <summary>Times a step, and its products where the program tells them.</summary>
    public void Run(int[] tokens, int warmups, int runs)
    {
        if (!_times.TryGetValue(tokens.Length, out var times)) _times[tokens.Length] = times = ([], []);
        for (var i = -warmups; i < runs; i++) Time(() => Step(tokens), i >= 0 ? times.Whole : null);
        if (HasProducts)
            for (var i = -warmups; i < runs; i++) Time(() => Products(tokens.Length), i >= 0 ? times.Products : null);
    }

    /// <summary>What was measured.</summary>
    /// <param name="bandwidth">The read bandwidth in GB/s.</param>
    public StepTimes.ProgramSteps Result(double bandwidth) => new(program, weights, WeightBytes, WeightBytes / 1e6 / bandwidth,
        [.. _times.Select(pair => new StepTimes.Step(
            pair.Key,
            StepTimes.Quartile(pair.Value.Whole, 2),
            StepTimes.Quartile(pair.Value.Whole, 1),
            StepTimes.Quartile(pair.Value.Whole, 3),
            HasProducts ? StepTimes.Quartile(pair.Value.Products, 2) : null))]);

    public abstract void Dispose();

    protected virtual bool HasProducts => false;

    /// <summary>A step over tokens behind the prefix.</summary>
    protected abstract void Step(int[] tokens);

    /// <summary>The products of a step over so many tokens.</summary>
    protected virtual void Products(int count) => throw new NotSupportedException();

    private static void Time(Action work, List<double>? times)
    {
        var start = Stopwatch.GetTimestamp();
        work();
        times?.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
    }
}

/// <summary>Koala's steps: as its decoder makes them.</summary>
internal sealed unsafe class KoalaSteps : StepProgram
{
    private readonly Target _target;
    private readonly KeyValueCache _cache;
    private readonly PanelMatrix[] _matrices;
    private readonly ScratchBuffer _inputs = new(), _outputs = new();

    /// <param name="weights">The type of the weights in the result.</param>
    /// <param name="path">The target's folder or file.</param>
    /// <param name="dtype">See <see cref="Target.Load"/>.</param>
    public KoalaSteps(string weights, string path, string? dtype) : base(Koala, weights)
    {
        _target = Target.Load(path, dtype);
        _cache = _target.NewCache(1, StepTimes.Capacity);
        _matrices = [.. _target.Model.Cpu!.StepMatrices];
        _target.Append(_cache, [.. Enumerable.Range(0, StepTimes.Prefix).Select(StepTimes.Token)]).Dispose();
    }

    protected override long WeightBytes => _target.WeightBytes;

    protected override bool HasProducts => true;

    public override void Dispose()
    {
        _inputs.Dispose();
        _outputs.Dispose();
        _cache.Dispose();
        _target.Dispose();
    }

    protected override void Step(int[] tokens)
    {
        using var scope = NewDisposeScope();
        _cache.Truncate(0, StepTimes.Prefix);
        BestTokens.OnHost(_target.Logits(_target.Append(_cache, tokens)));
    }

    protected override void Products(int count)
    {
        var inputs = _inputs.Reserve((long)count * _matrices.Max(m => m.Inputs));
        var outputs = _outputs.Reserve((long)count * _matrices.Max(m => m.Outputs));
        foreach (var matrix in _matrices) _target.Model.Cpu!.Decoder.Multiply(matrix, inputs, count, outputs);
    }
}

/// <summary>llama.cpp's steps.</summary>
internal sealed class LlamaCppSteps(string weights, string file) : StepProgram(LlamaCpp.Program, weights)
{
    private readonly LlamaCpp _model = new(file, StepTimes.Prefix, StepTimes.Capacity, get_num_threads());

    protected override long WeightBytes { get; } = LengthOf(file);

    public override void Dispose() => _model.Dispose();

    protected override void Step(int[] tokens) => _model.Step(tokens);

    // A link's own length is not that of the file that it names.
    private static long LengthOf(string file)
    {
        using var stream = File.OpenRead(file);
        return stream.Length;
    }
}
