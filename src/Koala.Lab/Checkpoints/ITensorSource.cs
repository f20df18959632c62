using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints;

/// <summary>Named tensors in one or more files. Opening validates and lists them; no weight is read before <see cref="Read"/>.</summary>
public interface ITensorSource : IDisposable
{
    /// <summary>The file that was opened, for messages.</summary>
    string Path { get; }

    /// <summary>All tensors by name.</summary>
    IReadOnlyDictionary<string, TensorInfo> Tensors { get; }

    /// <summary>Reads one tensor from the file, converted to <paramref name="dtype"/> on <paramref name="device"/>.</summary>
    /// <returns>A tensor that belongs to the caller and to no dispose scope, so that weights may outlive the scope they are read in. The caller disposes it.</returns>
    /// <exception cref="KoalaException">There is no tensor of that name, or the file can no longer be read.</exception>
    Tensor Read(string name, ScalarType dtype, Device device);
}
