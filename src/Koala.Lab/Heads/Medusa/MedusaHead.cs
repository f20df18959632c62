using Koala.Lab.Checkpoints;
using Koala.Lab.Drafting;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Runtime.Cuda;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Medusa;

/// <summary>
/// n Medusa heads of K residual blocks each. Head h predicts the token h+2 positions ahead from one hidden state of the
/// target.
/// </summary>
/// <remarks>
/// After Medusa (arXiv 2401.10774, section 2.1): x + SiLU(Wx + b), K times, then a vocabulary projection. The K blocks
/// stand where KOALA (arXiv 2408.08146) puts them. The weights of the n heads are stacked, so that a block of all heads
/// is one matrix product. Blocks start as the identity: weight and bias are zero, whereas Medusa's own code leaves the
/// bias random. In shapes n is the number of heads, N the number of positions, D the width and V the size of the
/// vocabulary.
/// </remarks>
public sealed class MedusaHead : DraftHead
{
    private readonly MedusaOptions _options;
    private readonly Tensor[] _weights;     // K tensors (1 if blocks are tied), [n,D,D]
    private readonly Tensor[] _biases;      // K tensors (1 if blocks are tied), [n,D]
    private readonly Tensor? _lmHeads;      // [n,V,D]; null if the heads share the target's LM head
    private readonly MarkovBias? _markov;   // null if the heads do not depend on each other's tokens
    private readonly ConfidenceOutput? _confidence;   // of all heads, [n,2,D] and [n,2]; null if there is none
    private readonly PackedWeights<MedusaCpuWeights> _packed = new();
    private readonly Dictionary<Target, GraphCache> _graphs = [];   // they read the weights of one target

    internal MedusaHead(
        MedusaOptions options, TargetIdentity target, Tensor[] weights, Tensor[] biases, Tensor? lmHeads, MarkovBias? markov,
        ConfidenceOutput? confidence)
        : base(options, target)
    {
        (_options, _weights, _biases, _lmHeads, _markov, _confidence) = (options, weights, biases, lmHeads, markov, confidence);
        var parameters = new List<KeyValuePair<string, Tensor>>();
        if (confidence is not null)
        {
            parameters.Add(new(ConfidenceOutput.WeightName, confidence.Weight));
            parameters.Add(new(ConfidenceOutput.BiasName, confidence.Bias));
        }
        if (markov is not null)
        {
            parameters.Add(new("markov.before", markov.Before));
            parameters.Add(new("markov.after", markov.After));
        }
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
    public override bool HasConfidences => _confidence is not null;

    /// <summary>What the token before adds to logits; null if nothing does.</summary>
    internal MarkovBias? Markov => _markov;

    /// <inheritdoc/>
    public override StateDict Parameters { get; }

    /// <inheritdoc/>
    public override Drafter NewDrafter(Target target, int batch, int capacity)
    {
        ThrowIfDisposed();
        KoalaException.ThrowIfNull(target);
        return new MedusaDrafter(this, target, batch);
    }

    /// <inheritdoc/>
    public override IReadOnlyList<HeadOutput> Predict(TrainingBatch batch, Target target)
    {
        ThrowIfDisposed();
        KoalaException.ThrowIfNull(batch);
        KoalaException.ThrowIfNull(target);
        using var scope = NewDisposeScope();
        var allPositions = batch.LabelPositions(ahead: 2);
        var features = batch.WithNoise(batch.DraftFeatures);                                      // [B·T,D]
        features = features.index_select(0, tensor(allPositions, device: target.Device));         // [N,D]
        var hidden = Hidden(features, _options.Heads);                                            // [n,N,D]
        var rowOf = allPositions.Select((position, row) => (position, row)).ToDictionary(x => x.position, x => (long)x.row);
        var headOutputs = new List<HeadOutput>();
        for (var h = 0; h < _options.Heads; h++)
        {
            // A later head has fewer positions: near the end of an answer the token that it predicts lies beyond the
            // end.
            var positions = batch.LabelPositions(ahead: 2 + h);
            var rows = tensor(positions.Select(position => rowOf[position]).ToArray(), device: target.Device);
            var logits = LogitsOf(hidden[h].index_select(0, rows), h, target).to(ScalarType.Float32);   // [Nh,V]
            var targetPositions = tensor(positions, device: target.Device) + 1 + h;
            // The token at such a position is the one before the token that is predicted there.
            if (_markov is not null)
                logits = logits + _markov.Logits(batch.Tokens.view(-1).index_select(0, targetPositions), logits.dtype);
            headOutputs.Add(new HeadOutput(h, logits, targetPositions)
            {
                Confidence = ConfidenceOf(h)?.Logits(hidden[h].index_select(0, rows)),
            });
        }
        foreach (var output in headOutputs)
        {
            output.Logits.MoveToOuterDisposeScope();
            output.TargetPositions.MoveToOuterDisposeScope();
            output.Confidence?.MoveToOuterDisposeScope();
        }
        return headOutputs;
    }

    /// <summary>Logits of the first heads from hidden states, without the Markov bias.</summary>
    /// <param name="features">The target's hidden states, [N,D].</param>
    /// <param name="target">The target of the head.</param>
    /// <param name="first">The number of heads, n; null means all of them.</param>
    /// <returns>The logits, [n,N,V].</returns>
    internal Tensor Logits(Tensor features, Target target, int? first = null)
    {
        var heads = first ?? _options.Heads;
        if (!is_grad_enabled() && PackFor(target) is { } packed) return packed.Logits(features, target.Model.Cpu!, heads);
        using var scope = NewDisposeScope();
        var hidden = Hidden(features, heads);
        var logits = _lmHeads is null
            ? target.Logits(hidden)
            : matmul(hidden, _lmHeads.narrow(0, 0, heads).to(hidden.dtype).transpose(1, 2));
        return logits.MoveToOuterDisposeScope();
    }

    /// <summary>The confidences of a head at hidden states; null if there are none. See <see cref="ConfidenceOutput"/>.</summary>
    /// <param name="features">The target's hidden states, [N,D].</param>
    /// <param name="head">The number of the head, counted from 0.</param>
    /// <param name="sampled">Whether tokens are sampled; otherwise decoding is greedy.</param>
    /// <returns>N numbers from 0 to 1.</returns>
    internal float[]? Confidences(Tensor features, int head, bool sampled)
    {
        if (ConfidenceOf(head) is not { } confidence) return null;
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return confidence.Probabilities(Hidden(features, 1, first: head)[0], sampled);
    }

    /// <summary>The graphs of drafters over a target. They read the weights where they are, so they see what training changes.</summary>
    internal GraphCache Graphs(Target target)
    {
        lock (_graphs)
        {
            if (!_graphs.TryGetValue(target, out var graphs)) _graphs[target] = graphs = new GraphCache(target.Device);
            return graphs;
        }
    }

    /// <summary>The weights packed for a CPU; null for a target that libtorch computes.</summary>
    internal MedusaCpuWeights? PackFor(Target target) => target.Model.Cpu is null
        ? null
        : _packed.Of(Parameters, () => new MedusaCpuWeights(_options, _weights, _biases, _lmHeads));

    /// <inheritdoc/>
    public override StateDict ToStateDict() => MedusaStateDict.Create(_options, _weights, _biases, _lmHeads, _markov, _confidence);

    internal static MedusaHead Create(MedusaOptions options, Target target, int seed)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var (hidden, blocks) = (target.Config.HiddenSize, Enumerable.Range(0, options.Tied ? 1 : options.Layers));
        Tensor Parameter(Tensor value) => value.DetachFromDisposeScope().requires_grad_(true);
        Tensor[] weights = [.. blocks.Select(_ => Parameter(zeros(options.Heads, hidden, hidden, device: target.Device)))];
        Tensor[] biases = [.. blocks.Select(_ => Parameter(zeros(options.Heads, hidden, device: target.Device)))];
        var lmHeads = options.OwnLmHeads
            ? Parameter(target.LmHead.to(ScalarType.Float32).expand(options.Heads, -1, -1).clone())
            : null;
        var markov = options.MarkovRank == 0 ? null : MarkovBias.Create(options.MarkovRank, target, seed);
        var confidence = options.Confidence
            ? new ConfidenceOutput(
                Parameter(zeros(options.Heads, ConfidenceOutput.Outputs, hidden, device: target.Device)),
                Parameter(zeros(options.Heads, ConfidenceOutput.Outputs, device: target.Device)))
            : null;
        return new MedusaHead(options, target.Identity, weights, biases, lmHeads, markov, confidence);
    }

    /// <inheritdoc/>
    protected override DraftHead CopyFirstLayers(int layers, Target target)
    {
        using var scope = NewDisposeScope();
        Tensor Copy(Tensor weight) => weight.detach().clone().DetachFromDisposeScope();
        var blocks = _options.Tied ? 1 : layers;
        return new MedusaHead(_options with { Layers = layers }, Target,
            [.. _weights.Take(blocks).Select(Copy)], [.. _biases.Take(blocks).Select(Copy)], _lmHeads is null ? null : Copy(_lmHeads),
            _markov?.Copy(), _confidence is null ? null : new ConfidenceOutput(Copy(_confidence.Weight), Copy(_confidence.Bias)));
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        _packed.Dispose();
        lock (_graphs)
        {
            foreach (var graphs in _graphs.Values) graphs.Dispose();
            _graphs.Clear();
        }
    }

    // Weights are cast to the dtype of the features. For a bf16 target fp32 masters are rounded, and gradients flow
    // through the rounding.
    private Tensor Hidden(Tensor features, int heads, int first = 0)
    {
        var x = features.expand(heads, -1, -1);   // [n,N,D]
        for (var k = 0; k < _options.Layers; k++)
        {
            var block = _options.Tied ? 0 : k;
            var weight = _weights[block].narrow(0, first, heads).to(x.dtype);
            var bias = _biases[block].narrow(0, first, heads).to(x.dtype);
            x = x + nn.functional.silu(baddbmm(x, weight.transpose(1, 2), bias.unsqueeze(1)));
        }
        return x;
    }

    private ConfidenceOutput? ConfidenceOf(int head) =>
        _confidence is null ? null : new ConfidenceOutput(_confidence.Weight[head], _confidence.Bias[head]);

    private Tensor LogitsOf(Tensor hidden, int head, Target target) =>
        _lmHeads is null ? target.Logits(hidden) : nn.functional.linear(hidden, _lmHeads[head].to(hidden.dtype));
}
