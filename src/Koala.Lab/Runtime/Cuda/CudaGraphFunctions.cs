using System.Runtime.InteropServices;
using Koala.Lab.Runtime.Native;

namespace Koala.Lab.Runtime.Cuda;

/// <summary>
/// libtorch's CUDA graph and stream functions by their exported C++ names (Itanium ABI: <c>this</c> is the first argument).
/// </summary>
internal sealed unsafe class CudaGraphFunctions
{
    private CudaGraphFunctions(IntPtr torchCuda, IntPtr c10Cuda)
    {
        Construct = (delegate* unmanaged<void*, byte, void>)NativeLibrary.GetExport(torchCuda, "_ZN2at4cuda9CUDAGraphC1Eb");
        BeginCapture = (delegate* unmanaged<void*, ulong, ulong, int, void>)NativeLibrary.GetExport(
            torchCuda, "_ZN2at4cuda9CUDAGraph13capture_beginESt4pairIyyE21cudaStreamCaptureMode");
        EndCapture = Member(torchCuda, "_ZN2at4cuda9CUDAGraph11capture_endEv");
        Replay = Member(torchCuda, "_ZN2at4cuda9CUDAGraph6replayEv");
        Destruct = Member(torchCuda, "_ZN2at4cuda9CUDAGraphD1Ev");
        StreamFromPool = (delegate* unmanaged<byte, sbyte, CudaStream>)NativeLibrary.GetExport(
            c10Cuda, "_ZN3c104cuda17getStreamFromPoolEba");
        CurrentStream = (delegate* unmanaged<sbyte, CudaStream>)NativeLibrary.GetExport(
            c10Cuda, "_ZN3c104cuda20getCurrentCUDAStreamEa");
        SetCurrentStream = (delegate* unmanaged<CudaStream, void>)NativeLibrary.GetExport(
            c10Cuda, "_ZN3c104cuda20setCurrentCUDAStreamENS0_10CUDAStreamE");
        RawStream = (delegate* unmanaged<CudaStream*, IntPtr>)NativeLibrary.GetExport(c10Cuda, "_ZNK3c104cuda10CUDAStream6streamEv");
    }

    /// <summary>Arguments: this; whether to keep the graph after it was made executable (0: no).</summary>
    public delegate* unmanaged<void*, byte, void> Construct { get; }

    /// <summary>Arguments: this; the memory pool as two numbers (0, 0 creates a pool); the capture mode.</summary>
    public delegate* unmanaged<void*, ulong, ulong, int, void> BeginCapture { get; }

    public delegate* unmanaged<void*, void> EndCapture { get; }

    public delegate* unmanaged<void*, void> Replay { get; }

    public delegate* unmanaged<void*, void> Destruct { get; }

    /// <summary>Arguments: whether the priority is high (0: no); the device (-1: the current one).</summary>
    public delegate* unmanaged<byte, sbyte, CudaStream> StreamFromPool { get; }

    /// <summary>Argument: the device (-1: the current one). Each thread has its own current stream.</summary>
    public delegate* unmanaged<sbyte, CudaStream> CurrentStream { get; }

    public delegate* unmanaged<CudaStream, void> SetCurrentStream { get; }

    /// <summary>Argument: this. Returns the driver's stream.</summary>
    public delegate* unmanaged<CudaStream*, IntPtr> RawStream { get; }

    /// <summary>Returns the functions; null if the loaded libtorch has no CUDA or exports other names.</summary>
    public static CudaGraphFunctions? Find()
    {
        if (!LibTorch.HasCuda) return null;
        try
        {
            return new CudaGraphFunctions(Library("libtorch_cuda.so"), Library("libc10_cuda.so"));
        }
        catch (EntryPointNotFoundException)
        {
            // This is another version of libtorch: the same work runs without graphs, and doctor says so.
            return null;
        }
    }

    // The library is loaded already; this only finds it again.
    private static IntPtr Library(string name) => NativeLibrary.Load(Path.Combine(LibTorch.Folder!, name));

    private static delegate* unmanaged<void*, void> Member(IntPtr library, string name) =>
        (delegate* unmanaged<void*, void>)NativeLibrary.GetExport(library, name);

    /// <summary>A <c>c10::cuda::CUDAStream</c>, which is passed in two registers.</summary>
    /// <param name="Device">The type and the number of the device.</param>
    /// <param name="Id">The stream's id.</param>
    public readonly record struct CudaStream(long Device, long Id);
}
