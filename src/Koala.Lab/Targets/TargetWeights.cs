using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>The target's tensors as libtorch computes with them: on a GPU, and on a CPU where something is trained.</summary>
/// <remarks>
/// On a CPU each is made from the packed weights when it is first needed, so that decoding needs the memory of those only.
/// </remarks>
internal sealed class TargetWeights : IDisposable
{
    private readonly Lazy<Tensor> _embedding;
    private readonly Lazy<Tensor> _lmHead;
    private readonly Lazy<Tensor[]> _layers;

    /// <param name="embedding">Makes the embedding, [V,D].</param>
    /// <param name="lmHead">Makes the LM head, [V,D]; null where it is the embedding.</param>
    /// <param name="layers">Makes each layer's tensors and the final norm.</param>
    public TargetWeights(Func<Tensor> embedding, Func<Tensor>? lmHead, Func<Tensor[]> layers)
    {
        _embedding = new Lazy<Tensor>(() => embedding().DetachFromDisposeScope());
        _lmHead = lmHead is null ? _embedding : new Lazy<Tensor>(() => lmHead().DetachFromDisposeScope());
        _layers = new Lazy<Tensor[]>(() => [.. layers().Select(tensor => tensor.DetachFromDisposeScope())]);
    }

    /// <summary>The embedding, [V,D].</summary>
    public Tensor Embedding => _embedding.Value;

    /// <summary>The LM head, [V,D]; the embedding itself where they are tied.</summary>
    public Tensor LmHead => _lmHead.Value;

    /// <summary>
    /// Each layer's tensors in the order of <see cref="DecoderScript.LayerTensors"/>, then the final norm.
    /// </summary>
    public Tensor[] Layers => _layers.Value;

    /// <summary>Reads the weights from files.</summary>
    /// <param name="reader">The files.</param>
    /// <param name="device">The device of the tensors.</param>
    public static TargetWeights Load(TargetReader reader, Device device)
    {
        var layers = new List<Tensor>();
        for (var i = 0; i < reader.Config.Layers; i++)
            layers.AddRange(TargetReader.LayerParts(reader.Config, i).Select(tensor => reader.ReadFused(tensor.Parts, device)));
        layers.Add(reader.Read(TargetReader.FinalNorm, device));
        var embedding = reader.Read(TargetReader.Embedding, device);
        var lmHead = reader.HasOwnLmHead() ? reader.Read(TargetTensors.LmHead, device) : null;
        var weights = new TargetWeights(() => embedding, lmHead is null ? null : () => lmHead, () => [.. layers]);
        // They are here already, and belong to the weights from now on.
        _ = (weights.Embedding, weights.LmHead, weights.Layers);
        return weights;
    }

    public void Dispose()
    {
        if (_embedding.IsValueCreated) Embedding.Dispose();
        if (_lmHead.IsValueCreated) LmHead.Dispose();
        if (!_layers.IsValueCreated) return;
        foreach (var tensor in Layers) tensor.Dispose();
    }
}
