using Koala.Lab.Decoding;
using Koala.Lab.Decoding.Sampling;
using Koala.Lab.Runtime.Cuda;
using Koala.Lab.Targets;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Regeneration;

/// <summary>
/// The steps of batched decoding on the device. A step chooses one token for each of B sequences. The host reads
/// nothing until a chunk of C steps is done.
/// </summary>
/// <remarks>
/// The state between steps stays in the same tensors, which are changed in place, so that on a GPU a step is one replay
/// of a CUDA graph. Sequences that have ended continue until the host reads the chunk. At the end of the cache they
/// overwrite its last slot.
/// </remarks>
internal sealed class BatchStep : IDisposable
{
    private readonly Target _target;
    private readonly KeyValueCache _cache;
    private readonly GenerationOptions _options;
    private readonly Tensor _ids;         // [B], the tokens that the next step appends
    private readonly Tensor _positions;   // [B,1], their positions
    private readonly Tensor _number;      // [1], the number of the step in its chunk
    private readonly Tensor _tokens;      // [B,C], the tokens that the steps chose
    private readonly Tensor _uniforms;    // [B,C], random numbers for sampling
    private readonly Dictionary<int, CudaGraph> _graphs = [];   // by the number of cache slots that attention reads

    /// <param name="target">The target. The caller owns it.</param>
    /// <param name="cache">A cache of B sequences. The caller owns it.</param>
    /// <param name="chunk">The number of steps per chunk, C.</param>
    /// <param name="options">The temperature, top-k and top-p.</param>
    public BatchStep(Target target, KeyValueCache cache, int chunk, GenerationOptions options)
    {
        (_target, _cache, _options, Chunk) = (target, cache, options, chunk);
        _ids = zeros(cache.Batch, ScalarType.Int64, target.Device).DetachFromDisposeScope();
        _positions = zeros(cache.Batch, 1, ScalarType.Int64, target.Device).DetachFromDisposeScope();
        _number = zeros(1, ScalarType.Int64, target.Device).DetachFromDisposeScope();
        _tokens = zeros(cache.Batch, chunk, ScalarType.Int64, target.Device).DetachFromDisposeScope();
        _uniforms = zeros(cache.Batch, chunk, ScalarType.Float64, target.Device).DetachFromDisposeScope();
    }

    /// <summary>The number of steps per chunk.</summary>
    public int Chunk { get; }

    /// <summary>Takes a chunk of steps, starting after the lengths of the cache. The lengths do not change.</summary>
    /// <param name="ids">The last token of each sequence, which is not in the cache yet, [B].</param>
    /// <param name="uniforms">The random numbers, [B·C]; null if the best token is taken.</param>
    /// <param name="keyValueLength">
    /// The number of cache slots that attention reads. It must cover the length of the longest sequence that counts
    /// after the chunk.
    /// </param>
    /// <returns>The chosen tokens, [B·C]; -1 where the logits are not finite.</returns>
    public long[] Run(long[] ids, double[]? uniforms, int keyValueLength)
    {
        using var scope = NewDisposeScope();
        Set(ids, uniforms);
        if (CudaGraph.Supported(_target.Device))
        {
            if (!_graphs.TryGetValue(keyValueLength, out var graph))
            {
                // Capturing runs steps. They write only beyond the ends of the sequences, so they do no harm.
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

    /// <summary>Chooses the tokens that follow hidden states.</summary>
    /// <param name="hidden">The hidden states, [n,D].</param>
    /// <param name="uniforms">The random numbers for sampling, [n,1].</param>
    /// <returns>The tokens, [n], int64, on the device; -1 where the logits are not finite.</returns>
    public Tensor Choose(Tensor hidden, Tensor uniforms)
    {
        using var scope = NewDisposeScope();
        var logits = _target.Logits(hidden);
        var tokens = _options.Temperature == 0
            ? _target.Device.type == DeviceType.CPU ? BestTokens.OnHost(logits) : BestTokens.OnDevice(logits)
            : TokenDraw.SampleRows(Distributions.RowsFromLogits(logits, _options), uniforms);
        return tokens.MoveToOuterDisposeScope();
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
        // A token that is missing ends the run when the host reads the chunk.
        _ids.copy_(next.clamp_min(0));
        _positions.add_(1).clamp_max_(_cache.Capacity - 1);
        _number.add_(1).remainder_(Chunk);
    }
}
