using Koala.Lab.Checkpoints;
using Koala.Lab.Drafting;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Kernels;
using Koala.Lab.Targets;
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
    private const int LongestDraft = 16;

    private readonly EagleWeights _weights;
    private readonly int _targetLayers;
    private readonly PackedWeights<EagleCpuWeights> _packed = new();
    private DraftVocabulary? _vocabulary;
    private Tensor? _ids;          // [V'] int64: the target's token id of each id of the head
    private Tensor? _lmHead;       // [V',D]: these rows of the target's LM head
    private PanelMatrix? _packedLmHead;
    private EagleMemory? _spare;   // the memory of the latest drafter; on a GPU it is kept for the graphs that were captured over it

    internal EagleHead(EagleWeights weights, Target target, DraftVocabulary? vocabulary) : base(weights.Options, target.Identity)
    {
        (_weights, _targetLayers) = (weights, target.Config.Layers);
        if (vocabulary is not null) SetVocabulary(vocabulary, target);
    }

    /// <inheritdoc/>
    public override int MaxDraftLength => LongestDraft;

    /// <inheritdoc/>
    public override DraftVocabulary? Vocabulary => _vocabulary;

    /// <summary>
    /// The layers whose outputs EAGLE-3 uses: 1, N/2-1 and N-4 of N layers, counted from 0. For a target with few
    /// layers they are three different layers near these.
    /// </summary>
    public override IReadOnlyList<int> FeatureLayers => _weights.Options.FusedFeatures ? LayersToFuse(_targetLayers) : [];

    /// <inheritdoc/>
    public override StateDict Parameters => _weights.All;

    /// <inheritdoc/>
    public override Drafter NewDrafter(Target target, int batch, int capacity)
    {
        ThrowIfDisposed();
        KoalaException.ThrowIfNull(target);
        return target.Model.Cpu is null
            ? NewTensorDrafter(target, batch, capacity)
            : new EagleCpuDrafter(this, _packed.Of(Parameters, () => new EagleCpuWeights(_weights)), target, batch, capacity);
    }

    /// <summary>A drafter that computes with libtorch's operators, as on a GPU.</summary>
    internal EagleTensorDrafter NewTensorDrafter(Target target, int batch, int capacity) => new(this, _weights, target, batch, capacity);

    /// <inheritdoc/>
    public override IReadOnlyList<HeadOutput> Predict(TrainingBatch batch, Target target)
    {
        ThrowIfDisposed();
        KoalaException.ThrowIfNull(batch);
        KoalaException.ThrowIfNull(target);
        using var scope = NewDisposeScope();
        var outputs = EagleTrainingPass.Outputs(_weights.To(target.Dtype), batch, target);
        var headOutputs = outputs.Select((output, step) =>
        {
            var positions = tensor(batch.LabelPositions(ahead: 2 + step), device: target.Device);
            var features = output.index_select(0, positions);
            return new HeadOutput(step, Logits(features, target).to(ScalarType.Float32), positions + 1 + step)
            {
                Features = features.to(ScalarType.Float32),
                Vocabulary = _ids,
            };
        }).ToArray();
        foreach (var output in headOutputs)
        {
            output.Logits.MoveToOuterDisposeScope();
            output.TargetPositions.MoveToOuterDisposeScope();
            output.Features!.MoveToOuterDisposeScope();
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
    }

    /// <summary>Logits over the head's vocabulary, [N,V'], from its outputs, [N,D].</summary>
    internal Tensor Logits(Tensor features, Target target) =>
        _lmHead is null ? target.Logits(features) : nn.functional.linear(features, _lmHead);

    /// <summary>The LM head over the head's vocabulary, [V',D], packed for a CPU.</summary>
    internal PanelMatrix PackedLmHead(CpuTarget target) =>
        _lmHead is null ? target.LmHead : _packedLmHead ??= PackedTensor.Matrix(_lmHead, CpuDecoder.Crew);

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
        return new EagleMemory(target, Options.Layers, batch, KeyValueCache.RoundUp(capacity, target.Device));
    }

    /// <summary>Takes back the memory of a drafter. On a GPU it is kept for the next drafter.</summary>
    internal void ReturnMemory(EagleMemory memory)
    {
        var old = memory.Cache.Device.type == DeviceType.CUDA ? Interlocked.Exchange(ref _spare, memory) : memory;
        old?.Dispose();
    }

    internal static EagleHead Create(EagleOptions options, Target target, int seed)
    {
        var config = target.Config;
        if (options.DraftVocabulary > config.VocabularySize)
            throw KoalaException.ForOption(nameof(options.DraftVocabulary),
                $"is {options.DraftVocabulary}, but {target.Name} has {config.VocabularySize} tokens",
                "lower it, or leave it out for all of them");
        if (options.DraftVocabulary > 0 && options.DraftVocabulary < target.EndIds.Count)
            throw KoalaException.ForOption(nameof(options.DraftVocabulary),
                $"is {options.DraftVocabulary}, but {target.EndIds.Count} tokens end an answer of {target.Name}",
                "set it to about 8000");
        if (options.FusedFeatures && config.Layers < FusedLayers)
            throw KoalaException.ForOption(nameof(options.FusedFeatures),
                $"joins {FusedLayers} layers, but {target.Name} has {config.Layers}", "leave it out");
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var generator = new Generator((ulong)seed, CPU);
        Tensor Parameter(string name)
        {
            var value = InitialValue(name, EagleStateDict.ShapeOf(config, name), generator);
            return value.to(target.Device).DetachFromDisposeScope().requires_grad_(true);
        }
        var weights = EagleWeights.Create(config, options, Parameter);
        // No tokens have been counted yet, so the first tokens are taken: byte-pair vocabularies number frequent tokens
        // first.
        var noCounts = new long[config.VocabularySize];
        var vocabulary = options.DraftVocabulary == 0
            ? null
            : DraftVocabulary.MostFrequent(noCounts, options.DraftVocabulary, target.EndIds);
        return new EagleHead(weights, target, vocabulary);
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
        _spare?.Dispose();
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

    private void SetVocabulary(DraftVocabulary vocabulary, Target target)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        _ids?.Dispose();
        _lmHead?.Dispose();
        _packedLmHead?.Dispose();
        _packedLmHead = null;
        _spare?.Dispose();
        _spare = null;
        _vocabulary = vocabulary;
        _ids = tensor(vocabulary.Tokens.Select(token => (long)token).ToArray(), device: target.Device).DetachFromDisposeScope();
        _lmHead = target.Model.LmHeadRows(_ids).DetachFromDisposeScope();
    }

    // Norms start at one, biases at zero, and matrices as PyTorch's linear layers do. Layers after the first add
    // nothing to the residual stream at first.
    private static Tensor InitialValue(string name, long[] shape, Generator generator) => name.Split('.') switch
    {
        [.., var last] when last.EndsWith("norm", StringComparison.Ordinal) => ones(shape),
        [.., "bias" or "qkv_bias"] => zeros(shape),
        ["layers", not "0", "o" or "down"] => zeros(shape),
        _ => (rand(shape, generator: generator) * 2 - 1) / Math.Sqrt(shape[^1]),
    };
}
