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

    public void Dispose()
    {
        foreach (var tensor in Tensors) tensor.Dispose();
    }
}
