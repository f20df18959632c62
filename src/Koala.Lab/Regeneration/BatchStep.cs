using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Sampling;
using Koala.Lab.Runtime.Cuda;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Regeneration;

/// <summary>The device's side of batched decoding: a token for each of B sequences, several times in a row, with nothing read on the host between.</summary>
/// <remarks>
/// What goes from step to step stays in the same tensors, changed in place, so that on a GPU a step is one replay of a CUDA graph. Sequences
/// that have ended run on until the host looks; at the end of the cache they write the last slot again and again.
/// </remarks>
internal sealed class BatchStep : IDisposable
{
    private readonly Target _target;
    private readonly KeyValueCache _cache;
    private readonly GenerationOptions _options;
    private readonly Tensor _ids;         // [B], the tokens to append
    private readonly Tensor _positions;   // [B,1], where they go
    private readonly Tensor _number;      // [1], of the step in its chunk
    private readonly Tensor _tokens;      // [B,C], what the steps chose
    private readonly Tensor _uniforms;    // [B,C], for sampling
    private readonly Dictionary<int, CudaGraph> _graphs = [];   // by limit

    /// <param name="target">Stays the caller's.</param>
    /// <param name="cache">Of B sequences; stays the caller's.</param>
    /// <param name="chunk">C: steps between two looks of the host.</param>
    /// <param name="options">Temperature and what else decides a choice.</param>
    public BatchStep(Target target, KeyValueCache cache, int chunk, GenerationOptions options)
    {
        (_target, _cache, _options, Chunk) = (target, cache, options, chunk);
        _ids = zeros(cache.Batch, ScalarType.Int64, target.Device).DetachFromDisposeScope();
        _positions = zeros(cache.Batch, 1, ScalarType.Int64, target.Device).DetachFromDisposeScope();
        _number = zeros(1, ScalarType.Int64, target.Device).DetachFromDisposeScope();
        _tokens = zeros(cache.Batch, chunk, ScalarType.Int64, target.Device).DetachFromDisposeScope();
        _uniforms = zeros(cache.Batch, chunk, ScalarType.Float64, target.Device).DetachFromDisposeScope();
    }

    /// <summary>Steps a chunk.</summary>
    public int Chunk { get; }

    /// <summary>Takes a chunk of steps after the cache's lengths, which stay as they are.</summary>
    /// <param name="ids">The last token of each sequence, which is not in the cache yet, [B].</param>
    /// <param name="uniforms">Random numbers, [B·C]; null when the best token is taken.</param>
    /// <param name="keyValueLength">Cache slots to look at: as many as the longest sequence that counts has after the chunk.</param>
    /// <returns>The tokens chosen, [B·C].</returns>
    public long[] Run(long[] ids, double[]? uniforms, int keyValueLength)
    {
        using var scope = NewDisposeScope();
        Set(ids, uniforms);
        if (CudaGraph.Supported(_target.Device))
        {
            if (!_graphs.TryGetValue(keyValueLength, out var graph))
            {
                // Capturing runs steps; what they write lies behind the sequences' ends.
                _graphs[keyValueLength] = graph = CudaGraph.Capture(() => Step(keyValueLength));
                Set(ids, uniforms);
            }
            for (var i = 0; i < Chunk; i++) graph.Replay();
        }
        else
        {
            for (var i = 0; i < Chunk; i++) Step(keyValueLength);
        }
        return _tokens.cpu().data<long>().ToArray();
    }

    /// <summary>The tokens that follow hidden states.</summary>
    /// <param name="hidden">[n,D].</param>
    /// <param name="uniforms">[n,1], for sampling.</param>
    /// <returns>[n], int64, on the device.</returns>
    public Tensor Choose(Tensor hidden, Tensor uniforms)
    {
        using var scope = NewDisposeScope();
        var logits = _target.Logits(hidden);
        return (_options.Temperature == 0 ? logits.argmax(-1) : TokenDraw.SampleRows(Distributions.RowsFromLogits(logits, _options), uniforms)).MoveToOuterDisposeScope();
    }

    public void Dispose()
    {
        foreach (var graph in _graphs.Values) graph.Dispose();
        foreach (var tensor in (Tensor[])[_ids, _positions, _number, _tokens, _uniforms]) tensor.Dispose();
    }

    private void Set(long[] ids, double[]? uniforms)
    {
        _ids.copy_(tensor(ids));
        _positions.copy_(tensor(_cache.Lengths.Select(length => (long)length).ToArray()).unsqueeze(1));
        _number.zero_();
        if (uniforms is not null) _uniforms.copy_(tensor(uniforms).view(_uniforms.shape));
    }

    private void Step(int keyValueLength)
    {
        using var scope = NewDisposeScope();
        var hidden = _target.Model.Step(_cache, _ids, _positions, keyValueLength);
        var next = Choose(hidden, _uniforms.index_select(1, _number));
        _tokens.index_copy_(1, _number, next.unsqueeze(1));
        _ids.copy_(next);
        _positions.add_(1).clamp_max_(_cache.Capacity - 1);
        _number.add_(1).remainder_(Chunk);
    }
}
