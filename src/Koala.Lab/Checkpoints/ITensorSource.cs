using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints;

/// <summary>
/// Named tensors in one or more files. Opening validates and lists the tensors; no weight is read before <see cref="Read"/>.
/// </summary>
public interface ITensorSource : IDisposable
{
    /// <summary>The path of the file that was opened, for messages.</summary>
    string Path { get; }

    /// <summary>All tensors by name.</summary>
    IReadOnlyDictionary<string, TensorInfo> Tensors { get; }

    /// <summary>Reads one tensor from the file and converts it to <paramref name="dtype"/> on <paramref name="device"/>.</summary>
    /// <returns>
    /// A new tensor in the caller's dispose scope, like the result of an operator. To keep it longer than the scope, the caller must
    /// detach it.
    /// </returns>
    /// <exception cref="KoalaException">There is no tensor of that name, or the file can no longer be read.</exception>
    Tensor Read(string name, ScalarType dtype, Device device);
}
