using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Runtime.Cuda;

/// <summary>Work on a GPU that is captured once and replayed with one launch instead of hundreds.</summary>
/// <remarks>
/// TorchSharp does not support CUDA graphs, so this class calls the exported members of libtorch's own class. A C++ exception in one
/// of them ends the process, so the work must be correct before it is captured. <see cref="Capture"/> says what it may do.
/// </remarks>
internal sealed unsafe class CudaGraph : IDisposable
{
    // libtorch's class takes a few hundred bytes in the versions that were examined.
    private const nuint ObjectBytes = 8192;

    // TorchScript profiles and compiles a function in its first calls with a shape; the compiled function should be captured.
    private const int WarmUps = 4;

    private const int ThreadLocalCapture = 1;

    private static readonly Lazy<CudaGraphFunctions?> s_functions = new(CudaGraphFunctions.Find);

    private readonly CudaGraphFunctions _functions;
    private void* _graph;

    private CudaGraph(CudaGraphFunctions functions)
    {
        _functions = functions;
        _graph = NativeMemory.AllocZeroed(ObjectBytes);
        functions.Construct(_graph, 0);
    }

    /// <summary>Whether work on the device can be captured: it is a GPU, and the loaded libtorch exports what is needed.</summary>
    public static bool Supported(Device device) => device.type == DeviceType.CUDA && s_functions.Value is not null;

    /// <summary>Runs the work a few times, so that everything is compiled and every workspace allocated, and then captures it.</summary>
    /// <param name="work">
    /// It reads and writes tensors that existed before; it reads nothing on the host and waits for nothing. Tensors that it creates
    /// belong to the graph and are overwritten by the next replay, so it must copy its results into tensors that existed before. This
    /// method runs it several times, and the capture itself does not execute it, so the caller must afterwards reset what it changes.
    /// </param>
    /// <exception cref="InvalidOperationException">CUDA graphs are not <see cref="Supported"/>.</exception>
    public static CudaGraph Capture(Action work)
    {
        var functions = s_functions.Value ?? throw new InvalidOperationException("This libtorch exports no CUDA graphs.");
        var graph = new CudaGraph(functions);
        // The default stream cannot be captured. Work on different streams is ordered only by waiting.
        cuda.synchronize();
        var previousStream = functions.CurrentStream(-1);
        functions.SetCurrentStream(functions.StreamFromPool(0, -1));
        try
        {
            for (var i = 0; i < WarmUps; i++) work();
            cuda.synchronize();
            functions.BeginCapture(graph._graph, 0, 0, ThreadLocalCapture);
            work();
            functions.EndCapture(graph._graph);
            cuda.synchronize();
        }
        finally
        {
            functions.SetCurrentStream(previousStream);
        }
        return graph;
    }

    /// <summary>Replays the captured work; it runs in order with other work on the GPU.</summary>
    public void Replay()
    {
        ObjectDisposedException.ThrowIf(_graph is null, this);
        _functions.Replay(_graph);
    }

    /// <summary>Frees the graph and its memory.</summary>
    public void Dispose()
    {
        if (_graph is null) return;
        // A replay may still be running.
        cuda.synchronize();
        _functions.Destruct(_graph);
        NativeMemory.Free(_graph);
        _graph = null;
    }
}
