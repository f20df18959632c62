using Koala.Lab.Checkpoints;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Published;

/// <summary>
/// Published heads often store the target's embedding or LM head once more. Whether such a tensor is the target's says whether the head was
/// made for this target.
/// </summary>
internal static class TargetCopy
{
    private const int Rows = 256;

    // Far above the rounding of any 16-bit type, and far below the distance of two models.
    private const double Tolerance = 0.01;

    /// <summary>The share by which a tensor of a file differs from the target's embedding, in its worst row of a sample.</summary>
    public static double FromEmbedding(ITensorSource source, string name, Target target) => Distance(source, name, target, target.Embed);

    /// <summary>The same for the target's LM head.</summary>
    public static double FromLmHead(ITensorSource source, string name, Target target) =>
        Distance(source, name, target, target.Model.LmHeadRows);

    /// <summary>Whether a distance is only that of two roundings.</summary>
    public static bool IsSame(double distance) => distance <= Tolerance;

    private static double Distance(ITensorSource source, string name, Target target, Func<Tensor, Tensor> rowsOf)
    {
        var shape = source.Tensors[name].Shape;
        if (shape.Count != 2 || shape[1] != target.Config.HiddenSize) return double.PositiveInfinity;
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var count = Math.Min(shape[0], target.Config.VocabularySize);
        long[] sample = [.. Enumerable.Range(0, Rows).Select(i => i * count / Rows).Distinct()];
        var ids = tensor(sample, device: target.Device);
        var stored = source.Read(name, ScalarType.Float32, target.Device).index_select(0, ids);
        var rows = rowsOf(ids).to(ScalarType.Float32);
        var scale = rows.abs().max().item<float>();
        return (stored - rows).abs().max().item<float>() / Math.Max(scale, 1e-20);
    }
}
