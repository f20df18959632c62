using static TorchSharp.torch;

namespace Koala.Lab.Runtime.Cuda;

/// <summary>The key of a captured graph: work with the same key makes the same calls on tensors of the same shapes.</summary>
/// <param name="Work">The name of the work.</param>
/// <param name="Count">The number of tokens per sequence.</param>
/// <param name="KeyValueLength">The number of cache slots that attention reads.</param>
internal readonly record struct GraphKey(string Work, int Count, int KeyValueLength);

/// <summary>
/// Runs work that is repeated on tensors of the same shapes. On a GPU it captures the work the second time that its key occurs, and
/// replays it from then on.
/// </summary>
/// <remarks>
/// If there is no GPU, or its libtorch exports no CUDA graphs, the work simply runs. A captured graph is a <see cref="CudaGraph"/>.
/// </remarks>
/// <param name="device">The device that the work runs on.</param>
internal sealed class GraphCache(Device device) : IDisposable
{
    private readonly Dictionary<GraphKey, CapturedGraph?> _graphs = [];   // null: the key occurred once

    /// <summary>Runs the work, or replays its graph.</summary>
    /// <param name="key">What the work depends on besides the inputs.</param>
    /// <param name="inputs">The inputs, with the same shapes and dtypes for the same key; on the device or the host.</param>
    /// <param name="work">
    /// Computes outputs from the inputs, which it gets on the device. It reads nothing on the host, and running it twice on the same
    /// inputs leaves the same state as running it once: see <see cref="CudaGraph.Capture"/>. Tensors that it reads or writes besides
    /// the inputs live as long as this object.
    /// </param>
    /// <returns>The outputs. The caller owns them.</returns>
    public Tensor[] Run(GraphKey key, Tensor[] inputs, Func<Tensor[], Tensor[]> work)
    {
        // Many keys occur only once, and a capture is not worth its time for them.
        if (!CudaGraph.Supported(device) || _graphs.TryAdd(key, null)) return work([.. inputs.Select(input => input.to(device))]);
        var graph = _graphs[key] ??= new CapturedGraph(device, inputs, work);
        return graph.Replay(inputs);
    }

    public void Dispose()
    {
        foreach (var graph in _graphs.Values) graph?.Dispose();
        _graphs.Clear();
    }

    private sealed class CapturedGraph : IDisposable
    {
        private readonly Tensor[] _inputs;
        private readonly Tensor[] _outputs;
        private readonly CudaGraph _graph;

        public CapturedGraph(Device device, Tensor[] inputs, Func<Tensor[], Tensor[]> work)
        {
            using var scope = NewDisposeScope();
            _inputs = [.. inputs.Select(input => input.to(device).clone().DetachFromDisposeScope())];
            _outputs = [.. work(_inputs).Select(output => output.clone().DetachFromDisposeScope())];
            _graph = CudaGraph.Capture(() =>
            {
                using var once = NewDisposeScope();
                foreach (var (output, result) in _outputs.Zip(work(_inputs))) output.copy_(result);
            });
        }

        public Tensor[] Replay(Tensor[] inputs)
        {
            foreach (var (own, given) in _inputs.Zip(inputs)) own.copy_(given);
            _graph.Replay();
            // The next replay overwrites the outputs of this one.
            return [.. _outputs.Select(output => output.clone())];
        }

        public void Dispose()
        {
            _graph.Dispose();
            foreach (var tensor in _inputs.Concat(_outputs)) tensor.Dispose();
        }
    }
}
