using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints;

/// <summary>A state dict in memory as a source of tensors, so that what reads a file can make a copy as well.</summary>
/// <param name="tensors">The tensors. The caller owns them.</param>
/// <param name="name">What messages call the source.</param>
internal sealed class TensorsInMemory(StateDict tensors, string name) : ITensorSource
{
    /// <inheritdoc/>
    public string Path => name;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorInfo> Tensors { get; } = tensors.ToDictionary(
        tensor => tensor.Key, tensor => new TensorInfo(tensor.Key, tensor.Value.dtype, tensor.Value.shape, $"{tensor.Value.dtype}"));

    /// <inheritdoc/>
    public Tensor Read(string name, ScalarType dtype, Device device) => tensors[name].to(dtype, device, copy: true);

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
