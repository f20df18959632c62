using Koala.Lab.Checkpoints;
using Koala.Lab.Kernels;
using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>A target's steps on a CPU: embedding, layers, final norm.</summary>
/// <remarks>B sequences, T new tokens each, N rows, D width, F width of the features, V vocabulary.</remarks>
internal sealed unsafe class CpuTarget : IDisposable
{
    private readonly ModelConfig _config;
    private readonly PanelMatrix _embedding;
    private readonly CpuLayer[] _layers;
    private readonly NativeBuffer _finalNorm;

    /// <param name="reader">The files.</param>
    public CpuTarget(TargetReader reader)
    {
        var crew = CpuDecoder.Crew;
        (_config, Decoder) = (reader.Config, new CpuDecoder(reader.Config));
        // The largest tensors come first, while there is room for what reading them takes beside their weights.
        _embedding = LoadMatrix(reader, [TargetReader.Embedding], crew);
        LmHead = reader.HasOwnLmHead() ? LoadMatrix(reader, [TargetTensors.LmHead], crew) : _embedding;
        _layers = [.. Enumerable.Range(0, _config.Layers).Select(layer => LoadLayer(reader, layer, crew))];
        _finalNorm = LoadRow(reader, [TargetReader.FinalNorm]);
    }

    /// <summary>What runs the layers.</summary>
    public CpuDecoder Decoder { get; }

    /// <summary>The LM head, [V,D]; the embedding itself where they are tied.</summary>
    public PanelMatrix LmHead { get; }

    /// <summary>The matrices that a step multiplies by, in its order, the LM head last.</summary>
    public IEnumerable<PanelMatrix> StepMatrices => [.. _layers.SelectMany(layer => layer.Matrices), LmHead];

    /// <summary>The number of weights; a tied embedding counts once.</summary>
    public long Count =>
        Matrices.Sum(matrix => (long)matrix.Outputs * matrix.Inputs) + _layers.Sum(layer => layer.RowNumbers) + _config.HiddenSize;

    /// <summary>The bytes of all weights as they are kept.</summary>
    public long Bytes => Matrices.Sum(matrix => matrix.Bytes) + _layers.Sum(layer => layer.RowNumbers * sizeof(float)) + _finalNorm.Bytes;

    /// <summary>The bytes of the embedding where it is not the LM head too, else 0.</summary>
    public long OwnEmbeddingBytes => ReferenceEquals(LmHead, _embedding) ? 0 : _embedding.Bytes;

    /// <summary>The weights as libtorch computes with them, which are made when they are needed.</summary>
    public TargetWeights ToTensors() => new(
        () => PackedTensor.ToTensor(_embedding),
        ReferenceEquals(LmHead, _embedding) ? null : () => PackedTensor.ToTensor(LmHead),
        () => [.. _layers.SelectMany(layer => layer.ToTensors(_config)), PackedTensor.ToTensor(_finalNorm)]);

    /// <summary>Rows of the embedding, [N,D].</summary>
    public Tensor Embed(IReadOnlyList<long> ids)
    {
        var rows = PackedTensor.Rows(_embedding, ids);
        if (_config.EmbeddingScale != 1) rows.mul_((float)_config.EmbeddingScale);
        return rows;
    }

    /// <summary>Appends trees of tokens; see <see cref="TargetModel.Append"/>. The cache's lengths stay as they are.</summary>
    /// <param name="cache">A cache of B sequences.</param>
    /// <param name="trees">The tokens of each sequence and their parents.</param>
    /// <param name="featureLayers">The layers whose outputs are wanted.</param>
    /// <param name="held">The number of tokens at the end of the cache that belong to the trees.</param>
    /// <param name="count">T.</param>
    public TargetOutput Append(KeyValueCache cache, TokenTrees trees, IReadOnlyList<int> featureLayers, int held, int count)
    {
        var rows = StepRows.Of(trees, cache.Lengths, held);
        int[] ids = [.. trees.Tokens.SelectMany(tokens => tokens)];
        using var scope = NewDisposeScope();
        var (hidden, features) = Run(ids, rows, cache, featureLayers);                                      // [N,D], [N,F]
        Tensor Padded(Tensor x)
        {
            if (rows.Count == cache.Batch * count) return x.view(cache.Batch, count, -1);
            var padded = zeros(cache.Batch, count, x.shape[1]);
            for (int b = 0, row = 0; b < cache.Batch; row += trees.Tokens[b++].Length)
                if (trees.Tokens[b].Length is var length and > 0) padded[b].narrow(0, 0, length).copy_(x.narrow(0, row, length));
            return padded;
        }
        var output = Padded(hidden);
        return new TargetOutput(output, features is null ? output : Padded(features)).MoveToOuterDisposeScope();
    }

    /// <summary>Appends a token to every sequence; see <see cref="TargetModel.Step"/>.</summary>
    public Tensor Step(KeyValueCache cache, Tensor ids, Tensor positions)
    {
        var rows = new StepRows();
        var slots = positions.data<long>();
        for (var b = 0; b < cache.Batch; b++) rows.AddCausal(b, (int)slots[b]);
        return Run([.. ids.data<long>().Select(id => (int)id)], rows, cache, []).Hidden;
    }

    /// <summary>Copies the embeddings of tokens.</summary>
    /// <param name="ids">The tokens, [N].</param>
    /// <param name="x">The first number of the first row.</param>
    /// <param name="stride">The distance between rows.</param>
    public void Embed(IReadOnlyList<int> ids, float* x, int stride)
    {
        var scale = (float)_config.EmbeddingScale;
        for (var row = 0; row < ids.Count; row++)
        {
            var to = x + (long)row * stride;
            _embedding.CopyRow(ids[row], to);
            if (scale != 1)
                for (var i = 0; i < _config.HiddenSize; i++) to[i] *= scale;
        }
    }

    public void Dispose()
    {
        Decoder.Dispose();
        foreach (var layer in _layers) layer.Dispose();
        _finalNorm.Dispose();
        _embedding.Dispose();
        LmHead.Dispose();
    }

    private IEnumerable<PanelMatrix> Matrices => ReferenceEquals(LmHead, _embedding) ? StepMatrices : [.. StepMatrices, _embedding];

    private static CpuLayer LoadLayer(TargetReader reader, int layer, WorkCrew crew)
    {
        var parts = TargetReader.LayerParts(reader.Config, layer).ToDictionary(tensor => tensor.Name, tensor => tensor.Parts);
        return new CpuLayer(
            name => LoadMatrix(reader, parts[name], crew),
            name => parts.TryGetValue(name, out var names) ? LoadRow(reader, names) : null);
    }

    // Each tensor is freed before the next one is read, so that a large model is never held twice.
    private static PanelMatrix LoadMatrix(TargetReader reader, string[] parts, WorkCrew crew)
    {
        if (reader.ReadCodes(parts) is { } codes)
        {
            var panels = QuantizedPanels.Pack(codes, crew);
            foreach (var part in codes) part.Dispose();
            return panels;
        }
        if (!reader.EightBits && reader.Stored(parts) is { } stored) return PanelPacking.Pack(stored, crew);
        using var scope = NewDisposeScope();
        var weights = reader.ReadFused(parts, CPU);
        return reader.EightBits && EightBitWeights.Serve(weights)
            ? EightBitWeights.Pack(weights, crew)
            : PackedTensor.Matrix(weights, crew);
    }

    private static NativeBuffer LoadRow(TargetReader reader, string[] parts)
    {
        using var scope = NewDisposeScope();
        return PackedTensor.Row(reader.ReadFused(parts, CPU));
    }

    // Returns the hidden states after the final norm, [N,D], and the outputs of the wanted layers side by side, [N,F].
    private (Tensor Hidden, Tensor? Features) Run(int[] ids, StepRows rows, KeyValueCache cache, IReadOnlyList<int> featureLayers)
    {
        var width = _config.HiddenSize;
        var hidden = empty(rows.Count, width);
        var features = featureLayers.Count == 0 ? null : empty(rows.Count, featureLayers.Count * width);
        var x = HostMemory.Floats(hidden);
        var outputs = features is null ? null : HostMemory.Floats(features);
        Embed(ids, x, width);

        void Keep(int layer)
        {
            if (layer == _config.Layers - 1) Norm(x, rows.Count);
            for (var i = 0; i < featureLayers.Count; i++)
            {
                if (featureLayers[i] != layer) continue;
                for (var row = 0; row < rows.Count; row++)
                {
                    var to = outputs + ((long)row * featureLayers.Count + i) * width;
                    new ReadOnlySpan<float>(x + (long)row * width, width).CopyTo(new Span<float>(to, width));
                }
            }
        }

        Decoder.Run(_layers, x, rows, cache, Keep);
        return (hidden, features);
    }

    private void Norm(float* x, int rows)
    {
        for (var row = 0; row < rows; row++, x += _config.HiddenSize)
            RowKernels.Norm(x, _finalNorm.Floats, (float)_config.RmsNormEps, _config.HiddenSize, x);
    }
}
