using Koala.Lab.Checkpoints;
using Koala.Lab.Drafting;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Kernels;
using Koala.Lab.Targets;
using Koala.Lab.Targets.Fused;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Eagle;

/// <summary>
/// An EAGLE head of K decoder layers. From the target's feature at a position and the token after it, the head predicts
/// the feature at the next position. It then continues from its own features.
/// </summary>
/// <remarks>
/// After EAGLE (arXiv 2401.15077): a linear layer fc over (embedding, feature), a decoder layer of the target's shape
/// without input norm, and the target's LM head. The K layers stand where KOALA (arXiv 2408.08146) puts them. Layers
/// after the first start as the identity; this is Koala's choice, since the paper's initial values could not be
/// obtained. The draft vocabulary and the fused features are those of EAGLE-3 (arXiv 2503.01840). The pair at position
/// i is feature i with token i+1. In shapes N is the number of positions, D the width and V' the size of the head's
/// vocabulary.
/// </remarks>
public sealed class EagleHead : DraftHead
{
    internal const int FusedLayers = 3;

    // The head itself has no limit, but drafts of this length are hardly ever accepted to their end.
    internal const int LongestDraft = 16;

    private readonly EagleWeights _weights;
    private readonly int _targetLayers;
    private readonly RotaryEmbedding? _rotary;   // null where the target's positions rotate the head's keys
    private readonly PackedWeights<EagleCpuWeights> _packed = new();
    private DraftVocabulary? _vocabulary;
    private Tensor? _ids;          // [V'] int64: the target's token id of each id of the head
    private Tensor? _lmHead;       // [V',D]: these rows of the target's LM head
    private PanelMatrix? _packedLmHead;
    private readonly Dictionary<Target, FusedEagle?> _fused = [];   // null where libtorch computes the head on a GPU
    private EagleMemory? _spare;   // the memory of the latest drafter; on a GPU it is kept for the graphs that were captured over it

    internal EagleHead(EagleWeights weights, Target target, DraftVocabulary? vocabulary) : base(weights.Options, target.Identity)
    {
        (_weights, _targetLayers) = (weights, target.Config.Layers);
        var (own, others) = (weights.Config, target.Config);
        if ((own.HeadDim, own.RopeTheta, own.RopeScaling, own.RotaryDim)
            != (others.HeadDim, others.RopeTheta, others.RopeScaling, others.RotaryDim))
            _rotary = new RotaryEmbedding(RotaryEmbedding.Frequencies(own), target.Dtype, target.Device, own);
        if (vocabulary is not null) SetVocabulary(vocabulary, target);
    }

    /// <inheritdoc/>
    public override int MaxDraftLength => LongestDraft;

    /// <inheritdoc/>
    public override bool HasConfidences => _weights.Options.Confidence;

    /// <inheritdoc/>
    public override DraftVocabulary? Vocabulary => _vocabulary;

    /// <summary>
    /// The layers whose outputs EAGLE-3 uses: 1, N/2-1 and N-4 of N layers, counted from 0. For a target with few
    /// layers they are three different layers near these.
    /// A published head may name others.
    /// </summary>
    public override IReadOnlyList<int> FeatureLayers => LayersOf(_weights.Options, _targetLayers);

    /// <inheritdoc/>
    public override StateDict Parameters => _weights.All;

    /// <inheritdoc/>
    public override Drafter NewDrafter(Target target, int batch, int capacity)
    {
        ThrowIfDisposed();
        KoalaException.ThrowIfNull(target);
        return target.Model.Cpu is null
            ? NewGpuDrafter(target, batch, capacity)
            : new EagleCpuDrafter(this, PackFor(target), target, batch, capacity);
    }

    /// <summary>A drafter that computes with libtorch's operators, as on a GPU where kernels of our own do not serve.</summary>
    internal EagleTensorDrafter NewTensorDrafter(Target target, int batch, int capacity) => new(this, _weights, target, batch, capacity);

    /// <inheritdoc/>
    public override IReadOnlyList<HeadOutput> Predict(TrainingBatch batch, Target target)
    {
        ThrowIfDisposed();
        KoalaException.ThrowIfNull(batch);
        KoalaException.ThrowIfNull(target);
        using var scope = NewDisposeScope();
        var weights = _weights.To(target.Dtype);
        var outputs = EagleTrainingPass.Outputs(weights, batch, target, positions => Rotations(positions, target));
        var headOutputs = outputs.Select((output, step) =>
        {
            var positions = tensor(batch.LabelPositions(ahead: 2 + step), device: target.Device);
            var features = weights.BeforeLmHead(output.index_select(0, positions));
            return new HeadOutput(step, Logits(weights, features, target).to(ScalarType.Float32), positions + 1 + step)
            {
                Features = features.to(ScalarType.Float32),
                Vocabulary = _ids,
                Confidence = weights.Confidence?.Logits(features),
            };
        }).ToArray();
        foreach (var output in headOutputs)
        {
            output.Logits.MoveToOuterDisposeScope();
            output.TargetPositions.MoveToOuterDisposeScope();
            output.Features!.MoveToOuterDisposeScope();
            output.Confidence?.MoveToOuterDisposeScope();
        }
        return headOutputs;
    }

    /// <inheritdoc/>
    public override StateDict ToStateDict() => EagleStateDict.Create(_weights, _vocabulary);

    /// <inheritdoc/>
    public override void ChooseVocabulary(IReadOnlyList<long> counts, Target target)
    {
        if (_vocabulary is null) return;
        var size = _vocabulary.Tokens.Count;
        SetVocabulary(DraftVocabulary.MostFrequent(counts, size, target.EndIds), target);
        if (_weights.Find("lm_head") is not { } lmHead) return;
        using var _ = no_grad();
        lmHead.copy_(_lmHead!);
    }

    /// <summary>
    /// Logits over the head's vocabulary, [N,V'], from what its LM head gets, [N,D] (<see cref="EagleWeights.BeforeLmHead"/>).
    /// </summary>
    internal Tensor Logits(EagleWeights weights, Tensor features, Target target) =>
        (weights.Find("lm_head") ?? _lmHead) is { } lmHead ? nn.functional.linear(features, lmHead) : target.Logits(features);

    /// <summary>The confidences at outputs of the head, [N,D]; null if it has no <see cref="ConfidenceOutput"/>.</summary>
    internal float[]? Confidences(Tensor outputs, bool sampled)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return _weights.Confidence?.Probabilities(_weights.BeforeLmHead(outputs), sampled);
    }

    /// <summary>The LM head over the head's vocabulary, [V',D], packed for a CPU.</summary>
    internal PanelMatrix PackedLmHead(EagleCpuWeights weights, CpuTarget target) =>
        weights.LmHead ?? (_lmHead is null ? target.LmHead : _packedLmHead ??= PackedTensor.Matrix(_lmHead, CpuDecoder.Crew));

    /// <summary>The layer over the fused states; see <see cref="EagleWeights.Fusion"/>.</summary>
    internal Tensor? Fusion => _weights.Fusion;

    /// <summary>The rows of the target's LM head that the head predicts over, [V',D]. The caller must not dispose them.</summary>
    internal Tensor SharedLmHead(Target target) => _lmHead ?? target.LmHead;

    /// <summary>The rotations of the head's queries and keys; see <see cref="TargetModel.Rotations"/>.</summary>
    internal (Tensor Cos, Tensor Sin) Rotations(Tensor positions, Target target) =>
        _rotary?.Compute(positions) ?? target.Model.Rotations(positions);

    /// <summary>
    /// Turns token ids of the draft vocabulary into the target's. Without a draft vocabulary they are the same.
    /// </summary>
    /// <param name="ids">The head's ids, [N], int64, from 0 up to but not including V'.</param>
    /// <returns>
    /// The target's ids, [N], int64, from 0 up to but not including the size of the target's vocabulary.
    /// </returns>
    internal Tensor ToTargetIds(Tensor ids) => _ids is null ? ids : _ids.index_select(0, ids);

    /// <summary>Empty memory for a drafter, which must return it by <see cref="ReturnMemory"/>.</summary>
    internal EagleMemory RentMemory(Target target, int batch, int capacity)
    {
        var spare = Interlocked.Exchange(ref _spare, null);
        if (spare is not null && spare.Serves(target, batch, capacity))
        {
            spare.Cache.Clear();
            return spare;
        }
        spare?.Dispose();
        return new EagleMemory(target, _weights.Config, Options.Layers, batch, KeyValueCache.RoundUp(capacity, target.Device));
    }

    /// <summary>Takes back the memory of a drafter. On a GPU it is kept for the next drafter.</summary>
    internal void ReturnMemory(EagleMemory memory)
    {
        var old = memory.Cache.Device.type == DeviceType.CUDA ? Interlocked.Exchange(ref _spare, memory) : memory;
        old?.Dispose();
    }

    internal static EagleHead Create(EagleOptions options, Target target, int seed)
    {
        options = options.WithArchitecture();
        options.Validate();
        var config = options.LayersFor(target.Config);
        if (options.DraftVocabulary > config.VocabularySize)
            throw KoalaException.ForOption(nameof(options.DraftVocabulary),
                $"is {options.DraftVocabulary}, but {target.Name} has {config.VocabularySize} tokens",
                "lower it, or leave it out for all of them");
        if (options.DraftVocabulary > 0 && options.DraftVocabulary < target.EndIds.Count)
            throw KoalaException.ForOption(nameof(options.DraftVocabulary),
                $"is {options.DraftVocabulary}, but {target.EndIds.Count} tokens end an answer of {target.Name}",
                "set it to about 8000");
        CheckFusedLayers(options, target);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var generator = new Generator((ulong)seed, CPU);
        // No tokens have been counted yet, so the first tokens are taken: byte-pair vocabularies number frequent tokens
        // first.
        var noCounts = new long[config.VocabularySize];
        var vocabulary = options.DraftVocabulary == 0
            ? null
            : DraftVocabulary.MostFrequent(noCounts, options.DraftVocabulary, target.EndIds);
        Tensor Parameter(string name)
        {
            var value = name switch
            {
                "lm_head" => target.Model.LmHeadRows(Ids(vocabulary, target)).to(ScalarType.Float32),
                // The LM head expects what the target's final norm leaves.
                "norm" => target.Model.FinalNorm.to(ScalarType.Float32, copy: true),
                _ => InitialValue(name, EagleStateDict.ShapeOf(config, options, name), generator),
            };
            return value.to(target.Device).DetachFromDisposeScope().requires_grad_(true);
        }
        return new EagleHead(EagleWeights.Create(config, options, Parameter), target, vocabulary);
    }

    /// <inheritdoc/>
    protected override DraftHead CopyFirstLayers(int layers, Target target)
    {
        using var scope = NewDisposeScope();
        var options = _weights.Options with { Layers = layers };
        var copies = EagleWeights.Create(_weights.Config, options, name => _weights[name].detach().clone().DetachFromDisposeScope());
        return new EagleHead(copies, target, _vocabulary);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        _ids?.Dispose();
        _lmHead?.Dispose();
        _packedLmHead?.Dispose();
        _packed.Dispose();
        ForgetFused();
        _spare?.Dispose();
        _rotary?.Dispose();
    }

    /// <summary>
    /// Three layers of N: 1, N/2-1 and N-4. For a small N they are moved so that they differ and stay below N.
    /// </summary>
    internal static int[] LayersToFuse(int count)
    {
        var first = Math.Min(1, count - 3);
        var second = Math.Clamp(count / 2 - 1, first + 1, count - 2);
        return [first, second, Math.Max(count - 4, second + 1)];
    }

    /// <summary>
    /// The layers whose outputs a head with these options fuses, counted from 0; none if it takes the hidden states after the final norm.
    /// </summary>
    /// <param name="options">The options, with their architecture.</param>
    /// <param name="count">N, the number of the target's layers.</param>
    internal static IReadOnlyList<int> LayersOf(EagleOptions options, int count)
    {
        if (!options.FusedFeatures) return [];
        if (options.FusedLayers is { } layers) return layers;
        // A server gets the states that enter a layer, and the output of the last one enters none.
        var standard = LayersToFuse(count);
        return options.IsEagle3 && standard[^1] == count - 1 && count > FusedLayers ? LayersToFuse(count - 1) : standard;
    }

    /// <exception cref="KoalaException">The target lacks one of the layers.</exception>
    internal static void CheckFusedLayers(EagleOptions options, Target target)
    {
        if (!options.FusedFeatures) return;
        var count = target.Config.Layers;
        if (options.FusedLayers is null && count < FusedLayers)
            throw KoalaException.ForOption(nameof(options.FusedFeatures),
                $"joins {FusedLayers} layers, but {target.Name} has {count}", "leave it out");
        if (options.FusedLayers?.Max() is { } last && last >= count)
            throw KoalaException.ForOption(nameof(options.FusedLayers),
                $"names layer {last}, but {target.Name} has {count}, counted from 0",
                "use the head with its own target");
    }

    private static Tensor Ids(DraftVocabulary? vocabulary, Target target) => vocabulary is null
        ? arange(target.Config.VocabularySize, ScalarType.Int64, target.Device)
        : tensor(vocabulary.Tokens.Select(token => (long)token).ToArray(), device: target.Device);

    private EagleDrafter NewGpuDrafter(Target target, int batch, int capacity) =>
        target.Model.Fused is not null && batch <= FusedDecoder.MostRows && Fused(target) is { } fused
            ? new EagleFusedDrafter(this, _weights, fused, target, batch, capacity)
            : NewTensorDrafter(target, batch, capacity);

    private FusedEagle? Fused(Target target)
    {
        lock (_fused)
        {
            if (_fused.TryGetValue(target, out var known)) return known;
            return _fused[target] = FusedEagle.Create(_weights, _weights.Find("lm_head") ?? SharedLmHead(target), _ids, target);
        }
    }

    private void ForgetFused()
    {
        lock (_fused)
        {
            foreach (var fused in _fused.Values) fused?.Dispose();
            _fused.Clear();
        }
    }

    private EagleCpuWeights PackFor(Target target) => _packed.Of(Parameters, () => new EagleCpuWeights(_weights, target));

    private void SetVocabulary(DraftVocabulary vocabulary, Target target)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        _ids?.Dispose();
        _lmHead?.Dispose();
        _packedLmHead?.Dispose();
        _packedLmHead = null;
        ForgetFused();
        _spare?.Dispose();
        _spare = null;
        _vocabulary = vocabulary;
        _ids = Ids(vocabulary, target).DetachFromDisposeScope();
        _lmHead = target.Model.LmHeadRows(_ids).DetachFromDisposeScope();
    }

    // Norms and the weights of fused states start at one, the confidence output and biases at zero, and matrices as PyTorch's linear
    // layers do. Layers after the first add nothing to the residual stream at first.
    private static Tensor InitialValue(string name, long[] shape, Generator generator) => name.Split('.') switch
    {
        [.., var last] when last.EndsWith("norm", StringComparison.Ordinal) => ones(shape),
        ["fuse_norms", _] or ["fuse_weights"] => ones(shape),
        [ConfidenceOutput.WeightName or ConfidenceOutput.BiasName] => zeros(shape),
        [.., "bias" or "qkv_bias"] => zeros(shape),
        ["layers", not "0", "o" or "down"] => zeros(shape),
        _ => (rand(shape, generator: generator) * 2 - 1) / Math.Sqrt(shape[^1]),
    };
}
