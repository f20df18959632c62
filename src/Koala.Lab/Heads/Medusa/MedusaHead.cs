using Koala.Lab.Checkpoints;
using Koala.Lab.Drafting;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Medusa;

/// <summary>n Medusa heads of K residual blocks: head h guesses the token h+2 places ahead from one hidden state of the target.</summary>
/// <remarks>
/// After Medusa (arXiv 2401.10774, section 2.1): x + SiLU(Wx + b), K times, then a vocabulary projection; K blocks as KOALA
/// (arXiv 2408.08146) places them. The n heads' weights are stacked, so that a block of all heads is one product.
/// Blocks start as the identity (weight and bias zero; Medusa's own code leaves the bias random).
/// n heads, N places, D width, V vocabulary.
/// </remarks>
public sealed class MedusaHead : DraftHead
{
    private readonly MedusaOptions _options;
    private readonly Tensor[] _weights;     // K (or 1, tied) of [n,D,D]
    private readonly Tensor[] _biases;      // K (or 1, tied) of [n,D]
    private readonly Tensor? _lmHeads;      // [n,V,D], where heads own theirs

    internal MedusaHead(MedusaOptions options, TargetIdentity target, Tensor[] weights, Tensor[] biases, Tensor? lmHeads)
        : base(options, target)
    {
        (_options, _weights, _biases, _lmHeads) = (options, weights, biases, lmHeads);
        var parameters = new List<KeyValuePair<string, Tensor>>();
        for (var k = 0; k < weights.Length; k++)
        {
            parameters.Add(new($"blocks.{k}.weight", weights[k]));
            parameters.Add(new($"blocks.{k}.bias", biases[k]));
        }
        if (lmHeads is not null) parameters.Add(new("lm_heads", lmHeads));
        Parameters = [.. parameters];
    }

    /// <inheritdoc/>
    public override int MaxDraftLength => _options.Heads;

    /// <inheritdoc/>
    public override StateDict Parameters { get; }

    /// <inheritdoc/>
    public override Drafter NewDrafter(Target target, int batch, int capacity) => new MedusaDrafter(this, target, batch);

    /// <inheritdoc/>
    public override IReadOnlyList<HeadOutput> Predict(TrainingBatch batch, Target target)
    {
        using var scope = NewDisposeScope();
        var all = batch.LabelPositions(ahead: 2);
        var hidden = Hidden(batch.WithNoise(batch.DraftFeatures).index_select(0, tensor(all, device: target.Device)), _options.Heads);   // [n,N,D]
        var index = all.Select((place, i) => (place, i)).ToDictionary(x => x.place, x => (long)x.i);
        var headOutputs = new List<HeadOutput>();
        for (var h = 0; h < _options.Heads; h++)
        {
            // A later head has fewer places: near the end of an answer its token is already outside.
            var places = batch.LabelPositions(ahead: 2 + h);
            var own = hidden[h].index_select(0, tensor(places.Select(p => index[p]).ToArray(), device: target.Device));   // [Nh,D]
            headOutputs.Add(new HeadOutput(h, LogitsOf(own, h, target).to(ScalarType.Float32), tensor(places, device: target.Device) + 1 + h));
        }
        foreach (var output in headOutputs)
        {
            output.Logits.MoveToOuterDisposeScope();
            output.TargetPositions.MoveToOuterDisposeScope();
        }
        return headOutputs;
    }

    /// <summary>Logits of the first n heads, [n,N,V], from hidden states [N,D]. Null: of all.</summary>
    internal Tensor Logits(Tensor features, Target target, int? first = null)
    {
        using var scope = NewDisposeScope();
        var heads = first ?? _options.Heads;
        var hidden = Hidden(features, heads);
        var logits = _lmHeads is null ? target.Logits(hidden) : matmul(hidden, _lmHeads.narrow(0, 0, heads).to(hidden.dtype).transpose(1, 2));
        return logits.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override StateDict ToStateDict() => MedusaStateDict.Create(_options, _weights, _biases, _lmHeads);

    internal static MedusaHead Create(MedusaOptions options, Target target)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var (hidden, blocks) = (target.Config.HiddenSize, options.Tied ? 1 : options.Layers);
        Tensor Parameter(Tensor value) => value.DetachFromDisposeScope().requires_grad_(true);
        return new MedusaHead(options, target.Identity,
            Enumerable.Range(0, blocks).Select(_ => Parameter(zeros(options.Heads, hidden, hidden, device: target.Device))).ToArray(),
            Enumerable.Range(0, blocks).Select(_ => Parameter(zeros(options.Heads, hidden, device: target.Device))).ToArray(),
            options.OwnLmHeads ? Parameter(target.LmHead.to(ScalarType.Float32).expand(options.Heads, -1, -1).clone()) : null);
    }

    // Weights follow the features' dtype: fp32 masters are rounded for a bf16 target, and gradients flow through the rounding.
    private Tensor Hidden(Tensor features, int heads)
    {
        var x = features.expand(heads, -1, -1);                                                               // [n,N,D]
        for (var k = 0; k < _options.Layers; k++)
        {
            var block = _options.Tied ? 0 : k;
            var (weight, bias) = (_weights[block].narrow(0, 0, heads).to(x.dtype), _biases[block].narrow(0, 0, heads).to(x.dtype));
            x = x + nn.functional.silu(baddbmm(x, weight.transpose(1, 2), bias.unsqueeze(1)));
        }
        return x;
    }

    private Tensor LogitsOf(Tensor hidden, int head, Target target) =>
        _lmHeads is null ? target.Logits(hidden) : nn.functional.linear(hidden, _lmHeads[head].to(hidden.dtype));
}
