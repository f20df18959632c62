using System.Collections.Concurrent;
using Koala.Lab.Checkpoints;
using Koala.Lab.Kernels;
using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>
/// The decoder layers of the Llama family on a CPU, in kernels of Koala's own: fp32 arithmetic over weights that are kept in the
/// checkpoint's type.
/// </summary>
/// <remarks>
/// The result of a row has the same bits whatever other rows the step has, and whether its token is a candidate of a draft tree or comes
/// alone. So a greedy answer with a head is the answer without one because the arithmetic is the same.
/// <see cref="DecoderScript"/> computes the same layers with libtorch, for training and on a GPU; GoldenTests and ReferenceTests hold the
/// two together. N rows, D width.
/// </remarks>
internal sealed unsafe class CpuDecoder(ModelConfig config) : IDisposable
{
    // What a layer computes between its products takes less time than to wake a thread, unless there are many rows.
    private const int RowsToShare = 16;

    private readonly float[][] _frequencies = [RotaryEmbedding.Frequencies(config), RotaryEmbedding.LocalFrequencies(config)];
    private readonly ConcurrentBag<CpuStep> _spare = [];

    /// <summary>The threads that steps share.</summary>
    public static WorkCrew Crew => WorkCrew.Shared(get_num_threads());

    /// <summary>Runs layers over rows, which change to the last layer's output.</summary>
    /// <param name="layers">The layers.</param>
    /// <param name="x">The rows, [N,D].</param>
    /// <param name="rows">Where the rows stand and what they attend to.</param>
    /// <param name="cache">The cache; the layers write keys and values into it.</param>
    /// <param name="onLayer">Called with the number of each layer whose output stands in the rows; may be null.</param>
    /// <param name="read">
    /// What the attention of the first layer reads, [N,inputs of its projection]; null means the rows after the layer's input norm.
    /// </param>
    public void Run(
        IReadOnlyList<CpuLayer> layers, float* x, StepRows rows, KeyValueCache cache, Action<int>? onLayer = null, float* read = null)
    {
        var step = Rent();
        step.Begin(x, rows, cache);
        for (var i = 0; i < layers.Count; i++)
        {
            step.Layer(layers[i], i, i == 0 ? read : null);
            onLayer?.Invoke(i);
        }
        _spare.Add(step);
    }

    /// <summary>y = x·wᵀ.</summary>
    /// <param name="matrix">The weights, [out,in].</param>
    /// <param name="x">The rows, [N,in].</param>
    /// <param name="count">N.</param>
    /// <param name="y">The results, [N,out].</param>
    public void Multiply(PanelMatrix matrix, float* x, int count, float* y)
    {
        var step = Rent();
        step.Multiply(matrix, x, count, y);
        _spare.Add(step);
    }

    /// <summary>x·wᵀ as a new tensor.</summary>
    /// <param name="matrix">The weights, [out,in].</param>
    /// <param name="x">The input, [...,in], fp32 on a CPU; no gradients flow to it.</param>
    /// <returns>[...,out].</returns>
    public Tensor Multiply(PanelMatrix matrix, Tensor x)
    {
        using var contiguous = x.detach().contiguous();
        var rows = (int)(x.numel() / matrix.Inputs);
        var y = empty([.. x.shape[..^1], matrix.Outputs]);
        if (rows > 0) Multiply(matrix, HostMemory.Floats(contiguous), rows, HostMemory.Floats(y));
        return y;
    }

    /// <summary>Frees the memory of steps.</summary>
    public void Dispose()
    {
        while (_spare.TryTake(out var step)) step.Dispose();
    }

    private CpuStep Rent() => (_spare.TryTake(out var step) ? step : new CpuStep(config, _frequencies)).With(Crew, RowsToShare);
}
