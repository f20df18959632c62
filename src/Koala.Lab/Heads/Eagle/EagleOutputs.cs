using static TorchSharp.torch;

namespace Koala.Lab.Heads.Eagle;

/// <summary>What an EAGLE head computes for N pairs. D is the width. Both are one tensor where no norm stands between them.</summary>
/// <param name="Continued">What the head continues from, [N,D].</param>
/// <param name="BeforeLmHead">What its LM head gets, [N,D].</param>
internal readonly record struct EagleOutputs(Tensor Continued, Tensor BeforeLmHead) : IDisposable
{
    /// <summary>One or two tensors as outputs.</summary>
    public static EagleOutputs Of(Tensor[] tensors) => new(tensors[0], tensors[^1]);

    /// <summary>The outputs as one or two tensors.</summary>
    public Tensor[] Tensors => ReferenceEquals(Continued, BeforeLmHead) ? [Continued] : [Continued, BeforeLmHead];

    /// <summary>The same of each tensor.</summary>
    public EagleOutputs Each(Func<Tensor, Tensor> change) => Of([.. Tensors.Select(change)]);

    /// <summary>The outputs of several chunks of pairs of B sequences, [B,n,D] each, one after another.</summary>
    public static EagleOutputs Join(IReadOnlyList<EagleOutputs> chunks) => chunks.Count == 1
        ? chunks[0]
        : Of([.. Enumerable.Range(0, chunks[0].Tensors.Length).Select(i => cat([.. chunks.Select(chunk => chunk.Tensors[i])], 1))]);

    public void Dispose()
    {
        foreach (var tensor in Tensors) tensor.Dispose();
    }
}
