using System.Diagnostics;
using System.Text.Json;
using Koala.Lab.Runs;
using Koala.Lab.Runtime.Files;
using Koala.Lab.Runtime.Machine;
using Koala.Lab.Targets;
using MathNet.Numerics.Statistics;
using static TorchSharp.torch;

namespace Koala.Benchmarks;

/// <summary>
/// The times of a target's step and of its parts on the CPU, by the number of tokens in it. All times are medians in milliseconds.
/// </summary>
public sealed record StepTimes
{
    private const int Repeats = 200;
    private const int Warmups = 20;
    private const int Prefix = 100;
    private static readonly int[] s_counts = [1, 2, 4, 5, 8, 16, 32];

    public required IReadOnlyList<string> Command { get; init; }
    public required DateTimeOffset Measured { get; init; }
    public required GitCommit? Commit { get; init; }
    public required MachineInfo Machine { get; init; }
    public required string Target { get; init; }
    public required int Threads { get; init; }

    /// <summary>The read bandwidth with all threads in GB/s, measured between the steps of the same run.</summary>
    public required double ReadGigabytesPerSecond { get; init; }

    public required IReadOnlyList<DtypeSteps> Dtypes { get; init; }

    /// <summary>The steps in one dtype.</summary>
    /// <param name="Dtype">fp32 or bf16.</param>
    /// <param name="WeightBytes">The bytes of all weights.</param>
    /// <param name="ReadOnceMs">The time of reading the weights once at the measured bandwidth.</param>
    /// <param name="Counts">The steps, by the number of their tokens.</param>
    public sealed record DtypeSteps(string Dtype, long WeightBytes, double ReadOnceMs, IReadOnlyList<Step> Counts);

    /// <summary>A step over a number of tokens.</summary>
    /// <param name="Tokens">The number of tokens in the step.</param>
    /// <param name="WholeMs">The time of the whole step: layers, LM head and the best token on the host.</param>
    /// <param name="ProductsMs">The time of the step's matrix products, LM head included, one after another.</param>
    /// <param name="LmHeadMs">The time of the LM head and the best token.</param>
    public sealed record Step(int Tokens, double WholeMs, double ProductsMs, double LmHeadMs)
    {
        /// <summary>The time of norms, rotations, cache, attention, activations, and the calls themselves.</summary>
        public double RestMs => WholeMs - ProductsMs;
    }

    public static StepTimes Measure(string folder, IReadOnlyList<string> command)
    {
        using var _ = no_grad();
        using var fp32 = Koala.Lab.Targets.Target.Load(folder, "fp32");
        using var bf16 = Koala.Lab.Targets.Target.Load(folder, "bf16");
        Target[] targets = [fp32, bf16];
        var memory = ones(Math.Max(64L << 20, 4 * fp32.WeightBytes / 4));
        var reads = new List<double>();
        var steps = targets.Select(_ => new List<Step>()).ToArray();
        foreach (var count in s_counts)
        {
            // The two dtypes and the plain read alternate, so that other work on the machine affects all of them.
            var work = targets.Select(t => new StepWork(t, count)).ToArray();
            for (var r = -Warmups; r < Repeats; r++)
            {
                foreach (var w in work) w.Run(record: r >= 0);
                if (r % 10 == 0) reads.Add(memory.numel() * 4 / 1e9 / (Time(() => memory.sum().item<float>()) / 1000));
            }
            for (var i = 0; i < targets.Length; i++) steps[i].Add(work[i].Result());
            foreach (var w in work) w.Dispose();
        }
        var bandwidth = reads.Median();
        memory.Dispose();
        return new StepTimes
        {
            Command = command,
            Measured = DateTimeOffset.UtcNow,
            Commit = GitCommit.OfKoala,
            Machine = MachineInfo.Current,
            Target = fp32.Name,
            Threads = get_num_threads(),
            ReadGigabytesPerSecond = bandwidth,
            Dtypes = [.. targets.Select((t, i) => StepsOf(t, bandwidth, steps[i]))],
        };
    }

    public void Save(string file) => AtomicFile.WriteText(file, JsonSerializer.Serialize(this, JsonFormat.Document) + "\n");

    private static DtypeSteps StepsOf(Target target, double bandwidth, IReadOnlyList<Step> steps)
    {
        var dtype = Koala.Lab.Runtime.Dtypes.Name(target.Dtype);
        return new DtypeSteps(dtype, target.WeightBytes, target.WeightBytes / 1e6 / bandwidth, steps);
    }

    private static double Time(Action work)
    {
        var start = Stopwatch.GetTimestamp();
        work();
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }

    private sealed class StepWork : IDisposable
    {
        private readonly Target _target;
        private readonly KeyValueCache _cache;
        private readonly int[] _tokens;
        private readonly Dictionary<long, Tensor> _inputs;   // by width
        private readonly (Tensor Input, Tensor Weight)[] _products;
        private readonly Tensor _hidden;
        private readonly List<double> _whole = [];
        private readonly List<double> _productTimes = [];
        private readonly List<double> _lmHead = [];

        public StepWork(Target target, int count)
        {
            _target = target;
            _cache = target.NewCache(1, 256);
            _tokens = [.. Enumerable.Range(0, count).Select(i => 100 + i)];
            target.Append(_cache, [.. Enumerable.Range(0, Prefix).Select(i => 200 + i)]).Dispose();
            // The matrices of a step in its order, the LM head last, [out,in] each.
            var weights = target.Model.Weights;
            Tensor[] matrices = [.. weights.Layers.Where(t => t.dim() == 2), weights.LmHead];
            var widths = matrices.Select(w => w.shape[1]).Distinct();
            _inputs = widths.ToDictionary(width => width, width => ones(count, width, target.Dtype));
            _products = [.. matrices.Select(w => (_inputs[w.shape[1]], w))];
            _hidden = _inputs[target.Config.HiddenSize];
        }

        public void Run(bool record)
        {
            using var scope = NewDisposeScope();
            _cache.Truncate(0, Prefix);
            var whole = Time(() => Best(_target.Append(_cache, _tokens)));
            var products = Time(() =>
            {
                foreach (var (input, weight) in _products) nn.functional.linear(input, weight);
            });
            var lmHead = Time(() => Best(_hidden));
            if (!record) return;
            _whole.Add(whole);
            _productTimes.Add(products);
            _lmHead.Add(lmHead);
        }

        public Step Result() => new(_tokens.Length, _whole.Median(), _productTimes.Median(), _lmHead.Median());

        public void Dispose()
        {
            _cache.Dispose();
            foreach (var input in _inputs.Values) input.Dispose();
        }

        private void Best(Tensor hidden) => _target.Logits(hidden).argmax(-1).data<long>().ToArray();
    }
}
