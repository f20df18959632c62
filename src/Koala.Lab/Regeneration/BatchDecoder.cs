using Koala.Lab.Decoding;
using Koala.Lab.Runtime;
using Koala.Lab.Targets;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Regeneration;

/// <summary>
/// Answers many prompts at once with the target, without a head. When an answer ends, the next prompt takes its row of the batch.
/// </summary>
/// <remarks>
/// An answer depends neither on the other prompts nor on the size of the batch, up to the rounding of sums. The host
/// reads results once per chunk of steps. Tokens after the end of an answer are dropped. A decoder is not safe for use
/// from two threads at once.
/// </remarks>
public sealed class BatchDecoder : IDisposable
{
    private const int CpuChunk = 8;
    private const int GpuChunk = 16;

    // The number of cache slots that attention reads is a multiple of this. On a GPU there is one CUDA graph for each
    // such number.
    private const int CpuBucket = 64;
    private const int GpuBucket = 256;

    private readonly Target _target;
    private readonly int _batch;
    private readonly GenerationOptions _options;
    private readonly int _chunk;
    private readonly int _bucket;
    private readonly int _leastFree;
    private KeyValueCache? _cache;
    private BatchStep? _step;
    private bool _disposed;
    private double _prefill;
    private double _steps;
    private double _total;

    /// <param name="target">The model whose answers are wanted. The caller owns it.</param>
    /// <param name="batch">The number of answers at once, at least 1.</param>
    /// <param name="options">
    /// How answers are generated. Stop texts, draft length, stream and trace have no effect here.
    /// </param>
    /// <exception cref="KoalaException">An option is out of range.</exception>
    public BatchDecoder(Target target, int batch, GenerationOptions options)
    {
        KoalaException.ThrowIfNull(target);
        KoalaException.ThrowIfNull(options);
        if (batch < 1)
            throw KoalaException.ForOption(nameof(batch), $"is {batch}, but at least one prompt is answered at a time",
                "set it to 1 or more");
        options.Validate();
        (_target, _batch, _options) = (target, batch, options);
        var gpu = target.Device.type == DeviceType.CUDA;
        _chunk = gpu ? GpuChunk : CpuChunk;
        _bucket = gpu ? GpuBucket : CpuBucket;
        _leastFree = RefillRule.LeastFree(target.Device, batch);
    }

    /// <summary>The time that all runs of this decoder have taken so far.</summary>
    public BatchTimes Times => new(_prefill, _steps, _total - _prefill - _steps);

    /// <summary>The default number of answers at once: 64 on a CPU, 512 on a GPU.</summary>
    public static int DefaultBatch(Device device) => device.type == DeviceType.CUDA ? 512 : 64;

    /// <summary>Answers prompts.</summary>
    /// <param name="prompts">The prompts in any order. The longest are answered first.</param>
    /// <param name="onAnswers">
    /// This is called on this thread with the answers that have ended since the previous call.
    /// </param>
    /// <param name="cancel">The decoder checks this token between chunks.</param>
    /// <exception cref="KoalaException">
    /// A prompt is empty or leaves no room in the context, or the target's logits are not finite.
    /// </exception>
    /// <exception cref="KoalaException">An argument is null.</exception>
    /// <exception cref="OperationCanceledException">
    /// The run was cancelled. Answers that had not ended are lost.
    /// </exception>
    public void Run(IReadOnlyList<BatchPrompt> prompts, Action<IReadOnlyList<BatchAnswer>> onAnswers, CancellationToken cancel = default)
    {
        KoalaException.ThrowIfDisposed(_disposed, "the decoder");
        KoalaException.ThrowIfNull(prompts);
        KoalaException.ThrowIfNull(onAnswers);
        foreach (var prompt in prompts) KoalaException.ThrowIfNull(prompt.Tokens, nameof(prompts));
        if (prompts.Count == 0) return;
        cancel = CellInterrupt.Or(cancel);
        var start = TimeProvider.System.GetTimestamp();
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        // The longest prompts come first. So prompts of a group have similar lengths, and a batch that is too large for
        // the memory fails at once.
        var waiting = new Queue<BatchRow>(prompts.Select(NewRow).OrderByDescending(row => row.Prompt.Count));
        Prepare(prompts);
        var rows = new BatchRow?[_cache!.Batch];
        var ended = new List<BatchAnswer>();
        while (waiting.Count > 0 || rows.Any(row => row is not null))
        {
            cancel.ThrowIfCancellationRequested();
            if (waiting.Count == 0) rows = Shrink(rows);
            Refill(rows, waiting);
            Collect(rows, ended);
            if (rows.Any(row => row is not null)) TakeChunk(rows);
            Collect(rows, ended);
            if (ended.Count > 0) onAnswers(ended);
            ended = [];
            _total += TimeProvider.System.GetElapsedTime(start).TotalSeconds;
            start = TimeProvider.System.GetTimestamp();
        }
    }

    /// <summary>Frees the cache.</summary>
    public void Dispose()
    {
        _disposed = true;
        FreeCache();
    }

    private BatchRow NewRow(BatchPrompt prompt, int number)
    {
        ContextRoom.Check(_target, prompt.Tokens, $"prompt {number + 1}");
        return new BatchRow(number, prompt, _target.EndIds, _target.Config.ContextLength, _options);
    }

    // One cache serves run after run. A run that needs a larger cache replaces it.
    private void Prepare(IReadOnlyList<BatchPrompt> prompts)
    {
        var batch = Math.Min(_batch, prompts.Count);
        var context = _target.Config.ContextLength;
        var needed = Math.Min(context, prompts.Max(p => p.Tokens.Count) + Math.Min(_options.MaxTokens, context));
        if (_cache is { } cache && cache.Batch == batch && cache.Capacity >= needed)
        {
            cache.Clear();
            return;
        }
        FreeCache();
        (_step, _cache) = (null, null);
        SetCache(_target.NewCache(batch, (needed + _bucket - 1) / _bucket * _bucket));
    }

    private void FreeCache()
    {
        _step?.Dispose();
        _cache?.Dispose();
    }

    private void SetCache(KeyValueCache cache)
    {
        FreeCache();
        (_cache, _step) = (cache, new BatchStep(_target, cache, _chunk, _options));
    }

    // At the end of a run rows become idle. On a CPU the batch then shrinks, since every row costs its share of a step.
    // On a GPU an idle row costs hardly anything, and another batch size would need new graphs.
    private BatchRow?[] Shrink(BatchRow?[] rows)
    {
        int[] live = [.. Enumerable.Range(0, rows.Length).Where(i => rows[i] is not null)];
        if (_target.Device.type == DeviceType.CUDA || 2 * live.Length > rows.Length) return rows;
        using var scope = NewDisposeScope();
        var smaller = _target.NewCache(live.Length, _cache!.Capacity);
        smaller.CopyFrom(_cache, live, [.. Enumerable.Range(0, live.Length)]);
        SetCache(smaller);
        return [.. live.Select(i => rows[i])];
    }

    // Assigns waiting prompts to the free rows, and reads them up to their first tokens.
    private void Refill(BatchRow?[] rows, Queue<BatchRow> waiting)
    {
        var start = TimeProvider.System.GetTimestamp();
        var free = new Queue<int>(Enumerable.Range(0, rows.Length).Where(i => rows[i] is null));
        if (free.Count < Math.Min(_leastFree, waiting.Count)) return;
        while (free.Count > 0 && waiting.Count > 0)
        {
            using var scope = NewDisposeScope();
            BatchRow[] next = [.. waiting.Take(free.Count)];
            next = next[..BatchPrefill.Group([.. next.Select(row => row.Prompt)])];
            int[] indices = [.. next.Select(_ => free.Dequeue())];
            foreach (var index in indices) rows[index] = waiting.Dequeue();

            var hidden = BatchPrefill.Run(_target, [.. next.Select(row => row.Prompt)], _cache!, indices);
            var uniforms = tensor(next.Select(row => row.NextUniform()).ToArray(), device: _target.Device).unsqueeze(1);
            var first = _step!.Choose(hidden, uniforms).cpu().data<long>();
            for (var i = 0; i < next.Length; i++) Commit(next[i], first[i]);
        }
        _prefill += TimeProvider.System.GetElapsedTime(start).TotalSeconds;
    }

    private void TakeChunk(BatchRow?[] rows)
    {
        var start = TimeProvider.System.GetTimestamp();
        long[] ids = [.. rows.Select(row => (long)(row?.Last ?? 0))];
        IEnumerable<double> Uniforms(BatchRow? row) => Enumerable.Range(0, _chunk).Select(_ => row?.NextUniform() ?? 0);
        double[]? uniforms = _options.Temperature == 0 ? null : [.. rows.SelectMany(Uniforms)];
        var tokens = _step!.Run(ids, uniforms, TargetModel.KeyValueLength(_cache!, _cache!.Lengths.Max() + _chunk, _bucket));
        _steps += TimeProvider.System.GetElapsedTime(start).TotalSeconds;
        for (var b = 0; b < rows.Length; b++)
        {
            if (rows[b] is not { } row) continue;
            for (var i = 0; i < _chunk; i++) Commit(row, tokens[b * _chunk + i]);
            if (!row.Ended) _cache.Extend(b, _chunk);
        }
    }

    private void Commit(BatchRow row, long token)
    {
        if (token == BestTokens.None && !row.Ended) throw _target.NotFinite();
        row.Commit((int)token);
    }

    private void Collect(BatchRow?[] rows, List<BatchAnswer> ended)
    {
        for (var b = 0; b < rows.Length; b++)
        {
            if (rows[b] is not { Ended: true } row) continue;
            ended.Add(row.Answer);
            rows[b] = null;
            // In every chunk an idle row starts at its first slot again.
            _cache!.Truncate(b, 0);
        }
    }
}
