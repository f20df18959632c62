using Koala.Lab.Checkpoints.Safetensors;
using static TorchSharp.torch;

namespace Koala.Lab.Checkpoints;

/// <summary>
/// The weights of a model in fp8, multiplied by their scales: one for a whole matrix, one for each row, or one for each block of 128
/// by 128.
/// </summary>
/// <remarks>Scales of inputs are for arithmetic in 8 bits, which Koala does not do, and are left unread.</remarks>
internal sealed class ScaledTensors : ITensorSource, IStoredMatrices
{
    private const int Block = 128;

    // The scales stand beside the weights; both names say what a weight is multiplied by.
    private static readonly string[] s_scales = ["_scale_inv", "_scale"];

    private static readonly string[] s_unread = [".input_scale", ".output_scale", ".k_scale", ".v_scale"];

    private readonly ITensorSource _source;
    private readonly Dictionary<string, TensorInfo> _tensors;

    private ScaledTensors(ITensorSource source)
    {
        _source = source;
        var isScale = s_scales.Concat(s_unread).ToArray();
        _tensors = source.Tensors.Where(tensor => !isScale.Any(end => tensor.Key.EndsWith(end, StringComparison.Ordinal))).ToDictionary();
    }

    /// <inheritdoc/>
    public string Path => _source.Path;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorInfo> Tensors => _tensors;

    /// <summary>Hides the scales of a model in fp8.</summary>
    /// <returns>The source itself if nothing in it is fp8; otherwise a source that owns it.</returns>
    public static ITensorSource Wrap(ITensorSource source) =>
        source.Tensors.Values.Any(tensor => tensor.Stored == Float8.Name) ? new ScaledTensors(source) : source;

    /// <inheritdoc/>
    public Tensor Read(string name, ScalarType dtype, Device device)
    {
        var isScaled = _tensors.TryGetValue(name, out var info) && info.Stored == Float8.Name;
        if (!isScaled) return _source.Read(name, dtype, device);
        if (s_scales.Select(end => name + end).FirstOrDefault(_source.Tensors.ContainsKey) is not { } scaleName)
            throw new KoalaException($"{Path}, tensor '{MessageText.Text(name)}'",
                $"is in fp8, but there is no '{MessageText.Text(name)}_scale' or '{MessageText.Text(name)}_scale_inv'",
                "get the model's files again");
        using var scope = NewDisposeScope();
        var weights = _source.Read(name, ScalarType.Float32, CPU);
        var scales = Expanded(_source.Read(scaleName, ScalarType.Float32, CPU), info!.Shape, scaleName);
        return weights.mul_(scales).to(dtype, device).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public StoredMatrix? Stored(string name) => StoredMatrix.Find(_source, name);

    /// <inheritdoc/>
    public void Dispose() => _source.Dispose();

    private Tensor Expanded(Tensor scales, IReadOnlyList<long> shape, string name)
    {
        if (scales.numel() == 1) return scales.view(1);
        for (var i = 0; i < shape.Count; i++)
        {
            var isWhole = scales.Dimensions == shape.Count && (scales.shape[i] == 1 || scales.shape[i] == shape[i]);
            if (isWhole) continue;
            if (scales.Dimensions != shape.Count || scales.shape[i] != (shape[i] + Block - 1) / Block)
                throw new KoalaException($"{Path}, tensor '{MessageText.Text(name)}'",
                    $"its shape is {MessageText.Shape([.. scales.shape])}, but the weights have {MessageText.Shape([.. shape])}: "
                    + $"one scale, one for each row, or one for each block of {Block} by {Block} is expected",
                    "get the model's files again");
            scales = scales.repeat_interleave(Block, i).narrow(i, 0, shape[i]);
        }
        return scales;
    }
}
