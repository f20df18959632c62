using Koala.Lab.Decoding;
using Koala.Lab.Targets;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Regeneration;

/// <summary>The target alone answers many prompts at once: as one answer ends, the next prompt takes its row of the batch.</summary>
/// <remarks>
/// What a prompt is answered depends neither on the others nor on the size of the batch, up to the rounding of sums. Between two looks of the
/// host the device takes a chunk of steps; tokens behind an answer's end are dropped. Not for use from two threads at once.
/// </remarks>
public sealed class BatchDecoder : IDisposable
{
    private const int CpuChunk = 8;
    private const int GpuChunk = 16;

    // Attention looks at a multiple of this many cache slots. On a GPU each such number is a graph of its own.
    private const int CpuBucket = 64;
    private const int GpuBucket = 256;

    // On a GPU one prompt is read in the time of many, so that rows wait until this part of the batch is free.
    private const int GpuRefillPart = 8;

    private readonly Target _target;
    private readonly int _batch;
    private readonly GenerationOptions _options;
    private readonly int _chunk;
    private readonly int _bucket;
    private readonly int _leastFree;
    private KeyValueCache? _cache;
    private BatchStep? _step;
    private double _prefill;
    private double _steps;
    private double _total;

    /// <param name="target">The model whose answers are wanted. Stays the caller's.</param>
    /// <param name="batch">Answers at once, at least 1.</param>
    /// <param name="options">How each is generated. Stop texts, draft length, stream and trace are not for batches.</param>
    /// <exception cref="KoalaException">An option is out of range.</exception>
    public BatchDecoder(Target target, int batch, GenerationOptions options)
    {
        if (batch < 1)
            throw KoalaException.ForOption(nameof(batch), $"is {batch}, but at least one prompt is answered at a time",
                "set it to 1 or more");
        options.Validate();
        (_target, _batch, _options) = (target, batch, options);
        (_chunk, _bucket, _leastFree) = target.Device.type == DeviceType.CUDA ? (GpuChunk, GpuBucket, batch / GpuRefillPart) : (CpuChunk, CpuBucket, 1);
    }

    /// <summary>Where the time went so far.</summary>
    public BatchTimes Times => new(_prefill, _steps, _total - _prefill - _steps);

    /// <summary>How many answers at once are worth while: 64 on a CPU, 512 on a GPU.</summary>
    public static int DefaultBatch(Device device) => device.type == DeviceType.CUDA ? 512 : 64;

    /// <summary>Answers prompts.</summary>
    /// <param name="prompts">In any order; the longest are answered first.</param>
    /// <param name="onAnswers">Called on this thread with the answers that have ended since the last call.</param>
    /// <param name="cancel">Looked at between chunks.</param>
    /// <exception cref="KoalaException">A prompt is empty or leaves no room in the context.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; answers that had not ended are lost.</exception>
    public void Run(IReadOnlyList<BatchPrompt> prompts, Action<IReadOnlyList<BatchAnswer>> onAnswers, CancellationToken cancel = default)
    {
        if (prompts.Count == 0) return;
        var began = TimeProvider.System.GetTimestamp();
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        // The longest first: prompts of a group are alike, and a batch that does not fit into memory fails at once.
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
            _total += TimeProvider.System.GetElapsedTime(began).TotalSeconds;
            began = TimeProvider.System.GetTimestamp();
        }
    }

    /// <summary>Frees the cache.</summary>
    public void Dispose()
    {
        _step?.Dispose();
        _cache?.Dispose();
    }

    private BatchRow NewRow(BatchPrompt prompt, int number)
    {
        ContextRoom.Check(_target, prompt.Tokens, $"prompt {number + 1}");
        return new BatchRow(number, prompt, _target.Config.EndOfSequenceIds, _target.Config.ContextLength, _options);
    }

    // One cache serves run after run; a larger one takes its place where a run needs it.
    private void Prepare(IReadOnlyList<BatchPrompt> prompts)
    {
        var batch = Math.Min(_batch, prompts.Count);
        var needed = Math.Min(_target.Config.ContextLength, prompts.Max(p => p.Tokens.Count) + Math.Min(_options.MaxTokens, _target.Config.ContextLength));
        if (_cache is { } cache && cache.Batch == batch && cache.Capacity >= needed)
        {
            cache.Clear();
            return;
        }
        Dispose();
        (_step, _cache) = (null, null);
        SetCache(_target.NewCache(batch, (needed + _bucket - 1) / _bucket * _bucket));
    }

    private void SetCache(KeyValueCache cache)
    {
        Dispose();
        (_cache, _step) = (cache, new BatchStep(_target, cache, _chunk, _options));
    }

    // At the end of a run rows fall idle. On a CPU each costs its share of a step; on a GPU hardly any, and another size would ask for new graphs.
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

    // Free rows take the prompts that wait, and each its first token.
    private void Refill(BatchRow?[] rows, Queue<BatchRow> waiting)
    {
        var began = TimeProvider.System.GetTimestamp();
        var free = new Queue<int>(Enumerable.Range(0, rows.Length).Where(i => rows[i] is null));
        if (free.Count < Math.Min(_leastFree, waiting.Count)) return;
        while (free.Count > 0 && waiting.Count > 0)
        {
            using var scope = NewDisposeScope();
            BatchRow[] next = [.. waiting.Take(free.Count)];
            next = next[..BatchPrefill.Group([.. next.Select(row => row.Prompt)])];
            int[] places = [.. next.Select(_ => free.Dequeue())];
            foreach (var (place, row) in places.Zip(next)) rows[place] = waiting.Dequeue();

            var hidden = BatchPrefill.Run(_target, [.. next.Select(row => row.Prompt)], _cache!, places);
            var uniforms = tensor(next.Select(row => row.NextUniform()).ToArray(), device: _target.Device).unsqueeze(1);
            var first = _step!.Choose(hidden, uniforms).cpu().data<long>();
            for (var i = 0; i < next.Length; i++) next[i].Commit((int)first[i]);
        }
        _prefill += TimeProvider.System.GetElapsedTime(began).TotalSeconds;
    }

    private void TakeChunk(BatchRow?[] rows)
    {
        var began = TimeProvider.System.GetTimestamp();
        long[] ids = [.. rows.Select(row => (long)(row?.Last ?? 0))];
        double[]? uniforms = _options.Temperature == 0 ? null : [.. rows.SelectMany(row => Enumerable.Range(0, _chunk).Select(_ => row?.NextUniform() ?? 0))];
        var tokens = _step!.Run(ids, uniforms, TargetModel.KeyValueLength(_cache!, _cache!.Lengths.Max() + _chunk, _bucket));
        _steps += TimeProvider.System.GetElapsedTime(began).TotalSeconds;
        for (var b = 0; b < rows.Length; b++)
        {
            if (rows[b] is not { } row) continue;
            for (var i = 0; i < _chunk; i++) row.Commit((int)tokens[b * _chunk + i]);
            if (!row.Ended) _cache.Extend(b, _chunk);
        }
    }

    private void Collect(BatchRow?[] rows, List<BatchAnswer> ended)
    {
        for (var b = 0; b < rows.Length; b++)
        {
            if (rows[b] is not { Ended: true } row) continue;
            ended.Add(row.Answer);
            rows[b] = null;
            // A row at rest starts each chunk anew at its beginning.
            _cache!.Truncate(b, 0);
        }
    }
}
