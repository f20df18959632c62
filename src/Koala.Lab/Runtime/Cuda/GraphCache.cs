using static TorchSharp.torch;

namespace Koala.Lab.Runtime.Cuda;

/// <summary>What tells pieces of work apart: those of one key make the same calls on tensors of the same shapes.</summary>
/// <param name="Work">Which work.</param>
/// <param name="Count">Tokens it is over, in each sequence.</param>
/// <param name="KeyValueLength">Cache slots that it looks at.</param>
internal readonly record struct GraphKey(string Work, int Count, int KeyValueLength);

/// <summary>Work that is done again and again on tensors of the same shapes. On a GPU it is recorded the second time, and from then on started with one launch.</summary>
/// <remarks>Without a GPU, or where its libtorch exports no CUDA graphs, the work is simply done. Ours; a recording is a <see cref="CudaGraph"/>.</remarks>
/// <param name="device">Where the work runs.</param>
internal sealed class GraphCache(Device device) : IDisposable
{
    private readonly Dictionary<GraphKey, CapturedGraph?> _recordings = [];   // null: seen once

    /// <summary>Does the work.</summary>
    /// <param name="key">What it depends on beside the inputs.</param>
    /// <param name="inputs">Of the same shapes and dtypes for the same key; on the device or the host.</param>
    /// <param name="work">
    /// From the inputs, on the device, to outputs. It reads nothing on the host, and done twice on the same inputs it leaves the same behind: see
    /// <see cref="CudaGraph.Capture"/>. Tensors it reads or writes beside the inputs live as long as this object.
    /// </param>
    /// <returns>The outputs, the caller's own.</returns>
    public Tensor[] Run(GraphKey key, Tensor[] inputs, Func<Tensor[], Tensor[]> work)
    {
        // Much is done once only: it is not worth the time a recording takes.
        if (!CudaGraph.Supported(device) || _recordings.TryAdd(key, null)) return work([.. inputs.Select(input => input.to(device))]);
        var recording = _recordings[key] ??= new CapturedGraph(device, inputs, work);
        return recording.Replay(inputs);
    }

    public void Dispose()
    {
        foreach (var recording in _recordings.Values) recording?.Dispose();
        _recordings.Clear();
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
                foreach (var (output, made) in _outputs.Zip(work(_inputs))) output.copy_(made);
            });
        }

        public Tensor[] Replay(Tensor[] inputs)
        {
            foreach (var (mine, given) in _inputs.Zip(inputs)) mine.copy_(given);
            _graph.Replay();
            // The next replay overwrites what this one left.
            return [.. _outputs.Select(output => output.clone())];
        }

        public void Dispose()
        {
            _graph.Dispose();
            foreach (var tensor in _inputs.Concat(_outputs)) tensor.Dispose();
        }
    }
}
