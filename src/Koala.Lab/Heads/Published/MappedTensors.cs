using Koala.Lab.Checkpoints;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Published;

/// <summary>Tensors under other names than a file gives them, and tensors of zeros that the file leaves out.</summary>
/// <param name="source">The file. The caller owns it.</param>
/// <param name="names">The names in the file, by the names that they get.</param>
/// <param name="zeros">The shapes of the tensors of zeros, by name.</param>
internal sealed class MappedTensors(
    ITensorSource source, IReadOnlyDictionary<string, string> names, IReadOnlyDictionary<string, long[]>? zeros = null) : ITensorSource
{
    /// <inheritdoc/>
    public string Path => source.Path;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorInfo> Tensors { get; } = names
        .Select(name => source.Tensors[name.Value] with { Name = name.Key })
        .Concat((zeros ?? new Dictionary<string, long[]>()).Select(x => new TensorInfo(x.Key, ScalarType.Float32, x.Value, "zeros")))
        .ToDictionary(info => info.Name);

    /// <inheritdoc/>
    public Tensor Read(string name, ScalarType dtype, Device device) => zeros is not null && zeros.TryGetValue(name, out var shape)
        ? TorchSharp.torch.zeros(shape, dtype, device)
        : source.Read(names.GetValueOrDefault(name, name), dtype, device);

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
