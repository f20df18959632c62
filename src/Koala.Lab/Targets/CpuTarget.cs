using Koala.Lab.Checkpoints;
using Koala.Lab.Kernels;
using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>A target's steps on a CPU: embedding, layers, final norm.</summary>
/// <remarks>B sequences, T new tokens each, N rows, D width, F width of the features, V vocabulary.</remarks>
internal sealed unsafe class CpuTarget : IDisposable
{
    private readonly ModelConfig _config;
    private readonly Tensor _embedding;
    private readonly CpuLayer[] _layers;
    private readonly NativeBuffer _finalNorm;

    /// <param name="config">The sizes and switches.</param>
    /// <param name="weights">The weights, which the caller owns.</param>
    public CpuTarget(ModelConfig config, TargetWeights weights)
    {
        var crew = CpuDecoder.Crew;
        (_config, _embedding, Decoder) = (config, weights.Embedding, new CpuDecoder(config));
        _layers = CpuLayer.PackAll(config, weights.Layers, config.Layers, crew);
        _finalNorm = PackedTensor.Row(weights.Layers[^1]);
        LmHead = PackedTensor.Matrix(weights.LmHead, crew);
    }

    /// <summary>What runs the layers.</summary>
    public CpuDecoder Decoder { get; }

    /// <summary>The LM head, [V,D].</summary>
    public PanelMatrix LmHead { get; }

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
        var from = HostMemory.Floats(_embedding);
        var width = _config.HiddenSize;
        for (var row = 0; row < ids.Count; row++)
            new ReadOnlySpan<float>(from + (long)ids[row] * width, width).CopyTo(new Span<float>(x + (long)row * stride, width));
    }

    public void Dispose()
    {
        Decoder.Dispose();
        foreach (var layer in _layers) layer.Dispose();
        _finalNorm.Dispose();
        LmHead.Dispose();
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
