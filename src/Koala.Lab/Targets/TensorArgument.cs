using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>Checks tensors that a caller gives before they reach libtorch, whose own check is a native exception.</summary>
internal static class TensorArgument
{
    /// <param name="tensor">The tensor.</param>
    /// <param name="dtype">The dtype that it must have.</param>
    /// <param name="device">The device on which it must be.</param>
    /// <param name="shape">Its sizes, outermost first; -1 stands for any size.</param>
    /// <param name="name">The name of the caller's parameter.</param>
    /// <exception cref="ArgumentException">The tensor is null, or another one than expected.</exception>
    /// <exception cref="ObjectDisposedException">The tensor is disposed.</exception>
    public static void Check(Tensor tensor, ScalarType dtype, Device device, ReadOnlySpan<long> shape, string name)
    {
        CheckState(tensor, dtype, device, name);
        var found = tensor.shape;
        var matches = found.Length == shape.Length;
        for (var i = 0; matches && i < shape.Length; i++) matches = shape[i] < 0 || shape[i] == found[i];
        if (!matches) throw new ArgumentException($"Its shape is [{string.Join(", ", found)}], but another one is expected.", name);
    }

    /// <summary>Checks everything but the sizes of the outer dimensions.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="dtype">The dtype that it must have.</param>
    /// <param name="device">The device on which it must be.</param>
    /// <param name="width">The size of its last dimension.</param>
    /// <param name="name">The name of the caller's parameter.</param>
    /// <exception cref="ArgumentException">The tensor is null, or another one than expected.</exception>
    /// <exception cref="ObjectDisposedException">The tensor is disposed.</exception>
    public static void CheckWidth(Tensor tensor, ScalarType dtype, Device device, long width, string name)
    {
        CheckState(tensor, dtype, device, name);
        if (tensor.dim() == 0 || tensor.size(-1) != width)
            throw new ArgumentException($"Its shape is [{string.Join(", ", tensor.shape)}], but rows of {width} are expected.", name);
    }

    private static void CheckState(Tensor tensor, ScalarType dtype, Device device, string name)
    {
        ArgumentNullException.ThrowIfNull(tensor, name);
        ObjectDisposedException.ThrowIf(tensor.IsInvalid, tensor);
        if (tensor.dtype != dtype) throw new ArgumentException($"It is {tensor.dtype}, but {dtype} is expected.", name);
        if (tensor.device_type != device.type)
            throw new ArgumentException($"It is on {tensor.device_type}, but {device.type} is expected.", name);
    }
}
