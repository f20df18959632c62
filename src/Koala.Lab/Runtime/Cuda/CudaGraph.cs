using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Runtime.Cuda;

/// <summary>Work on a GPU, recorded once and started again with one launch in place of hundreds.</summary>
/// <remarks>
/// TorchSharp knows no CUDA graphs, so libtorch's own class is called through its exported members. A C++ exception on this way ends
/// the process: the work has to be right before it is captured. What it may do is said at <see cref="Capture"/>.
/// </remarks>
public sealed unsafe class CudaGraph : IDisposable
{
    // The class has a few hundred bytes in the versions looked at.
    private const nuint ObjectBytes = 8192;

    // TorchScript profiles and compiles a function in its first calls with a shape; what is captured should be the outcome.
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

    /// <summary>Runs the work a few times, so that everything is compiled and every workspace taken, and then records it.</summary>
    /// <param name="work">
    /// Reads and writes tensors that existed before; reads nothing on the host and waits for nothing. Tensors it makes are of the graph
    /// and are overwritten by the next replay: results are copied into tensors from before. It runs several times here and is not
    /// carried out by the recording itself, so that what it changes has to be set anew afterwards.
    /// </param>
    /// <exception cref="InvalidOperationException">Not <see cref="Supported"/>.</exception>
    public static CudaGraph Capture(Action work)
    {
        var functions = s_functions.Value ?? throw new InvalidOperationException("This libtorch exports no CUDA graphs.");
        var graph = new CudaGraph(functions);
        // The default stream cannot be captured. Between streams nothing is ordered but by waiting.
        cuda.synchronize();
        var before = functions.CurrentStream(-1);
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
            functions.SetCurrentStream(before);
        }
        return graph;
    }

    /// <summary>Starts the recorded work; it runs in turn with other work on the GPU.</summary>
    public void Replay()
    {
        ObjectDisposedException.ThrowIf(_graph is null, this);
        _functions.Replay(_graph);
    }

    /// <summary>Frees the recording and its memory.</summary>
    public void Dispose()
    {
        if (_graph is null) return;
        // A replay may still run.
        cuda.synchronize();
        _functions.Destruct(_graph);
        NativeMemory.Free(_graph);
        _graph = null;
    }
}
