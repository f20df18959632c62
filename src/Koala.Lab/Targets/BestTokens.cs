using System.Runtime.InteropServices;
using Koala.Lab.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>The best token of each row of logits. A row whose best logit is not finite has none.</summary>
/// <remarks>
/// A NaN counts as the best logit, so that a model or head with broken numbers would seem to choose a token. Only one number per row is
/// looked at; on a CPU in fp32 the rows are read from memory, because a few small operators would take several percent of a small step.
/// </remarks>
internal static class BestTokens
{
    /// <summary>What stands for the token of a row that has none.</summary>
    public const int None = -1;

    /// <summary>The best tokens on the host.</summary>
    /// <param name="logits">The logits, [...,V].</param>
    /// <returns>The ids, [...], int64; <see cref="None"/> where the logits are not finite.</returns>
    public static Tensor OnHost(Tensor logits)
    {
        if (!IsReadable(logits)) return OnDevice(logits).cpu();
        var width = (int)logits.shape[^1];
        var values = MemoryMarshal.Cast<byte, float>(logits.bytes);
        var ids = new long[values.Length / width];
        for (var i = 0; i < ids.Length; i++) ids[i] = Of(values.Slice(i * width, width));
        return tensor(ids).view(logits.shape[..^1]);
    }

    /// <summary>The best token of a row of logits, of equal ones the first; <see cref="None"/> where its logit is not finite.</summary>
    public static int Of(ReadOnlySpan<float> logits)
    {
        var best = RowKernels.Max(logits);
        return float.IsFinite(best) ? logits.IndexOf(best) : None;
    }

    /// <summary>The same on the device of the logits. Nothing is read on the host.</summary>
    public static Tensor OnDevice(Tensor logits)
    {
        using var scope = NewDisposeScope();
        var best = logits.argmax(-1, keepdim: true);
        return Mark(best, logits.gather(-1, best)).squeeze(-1).MoveToOuterDisposeScope();
    }

    /// <summary>Replaces the tokens whose logits, or weights, are not finite by <see cref="None"/>.</summary>
    /// <param name="tokens">The ids, int64.</param>
    /// <param name="values">A number for each of them, in the same shape.</param>
    public static Tensor Mark(Tensor tokens, Tensor values)
    {
        using var scope = NewDisposeScope();
        // A finite number less itself is 0; infinity and NaN give NaN.
        return tokens.masked_fill((values - values).ne(0), None).MoveToOuterDisposeScope();
    }

    /// <summary>Whether all numbers of a small tensor are finite.</summary>
    public static bool AreFinite(Tensor values)
    {
        using var scope = NewDisposeScope();
        foreach (var value in values.to(ScalarType.Float32).cpu().data<float>())
            if (!float.IsFinite(value)) return false;
        return true;
    }

    // A span has at most 2 GiB.
    private static bool IsReadable(Tensor logits) =>
        logits.device_type == DeviceType.CPU && logits.dtype == ScalarType.Float32 && logits.is_contiguous()
        && logits.numel() is > 0 and < int.MaxValue / sizeof(float);
}
