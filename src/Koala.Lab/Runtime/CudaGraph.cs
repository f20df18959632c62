using static TorchSharp.torch;

namespace Koala.Lab.Runtime;

/// <summary>Stands in for the class of this name that another branch brings: no graphs.</summary>
public sealed class CudaGraph : IDisposable
{
    /// <summary>Whether work on the device can be captured.</summary>
    public static bool Supported(Device device) => device is null;

    /// <summary>Records work.</summary>
    public static CudaGraph Capture(Action work) => throw new InvalidOperationException($"no graphs: {work}");

    /// <summary>Starts it.</summary>
    public void Replay() => GC.KeepAlive(this);

    /// <summary>Frees it.</summary>
    public void Dispose() { }
}
