using Koala.Lab.Checkpoints;
using Koala.Lab.Drafting;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Targets;
using TorchSharp;
using static TorchSharp.torch;

namespace Koala.Lab.Heads.Eagle;

/// <summary>An EAGLE head of K decoder layers: from the target's feature at a place and the token after it, it guesses the next place's feature; and goes on from its own.</summary>
/// <remarks>
/// After EAGLE (arXiv 2401.15077): a linear layer fc over (embedding, feature), then a decoder layer of the target's shape without input norm,
/// and the target's LM head; K layers as KOALA (arXiv 2408.08146) places them, where layers after the first start as the identity (ours: the
/// paper's start could not be obtained). Draft vocabulary and fused features as in EAGLE-3 (arXiv 2503.01840). The pair at place i is feature i
/// with token i+1. N places, D width, V' its vocabulary.
/// </remarks>
public sealed class EagleHead : DraftHead
{
    internal const int FusedLayers = 3;

    // It could go on for ever; drafts this deep are hardly ever accepted to their end.
    private const int Deepest = 16;

    private readonly EagleWeights _weights;
    private readonly int _targetLayers;
    private DraftVocabulary? _vocabulary;
    private Tensor? _ids;      // [V'] int64: the target's token of each of its own ids
    private Tensor? _lmHead;   // [V',D]: those rows of the target's LM head
    private EagleMemory? _spare;   // of the drafter before: on a GPU what is recorded over it is worth keeping

    internal EagleHead(EagleWeights weights, Target target, DraftVocabulary? vocabulary) : base(weights.Options, target.Identity)
    {
        (_weights, _targetLayers) = (weights, target.Config.Layers);
        if (vocabulary is not null) TakeVocabulary(vocabulary, target);
    }

    /// <inheritdoc/>
    public override int MaxDraftLength => Deepest;

    /// <inheritdoc/>
    public override DraftVocabulary? Vocabulary => _vocabulary;

    /// <summary>EAGLE-3's: the outputs of layers 1, N/2-1 and N-4 of N, counted from 0; of a target with few layers three different ones near them.</summary>
    public override IReadOnlyList<int> FeatureLayers => _weights.Options.FusedFeatures ? LayersToFuse(_targetLayers) : [];

    /// <inheritdoc/>
    public override StateDict Parameters => _weights.All;

    /// <inheritdoc/>
    public override Drafter NewDrafter(Target target, int batch, int capacity) => new EagleDrafter(this, _weights, target, batch, capacity);

    /// <inheritdoc/>
    public override IReadOnlyList<HeadOutput> Predict(TrainingBatch batch, Target target)
    {
        using var scope = NewDisposeScope();
        var outputs = EagleTrainingPass.Outputs(_weights.To(target.Dtype), batch, target);
        var headOutputs = outputs.Select((output, step) =>
        {
            var places = tensor(batch.LabelPositions(ahead: 2 + step), device: target.Device);
            var features = output.index_select(0, places);
            return new HeadOutput(step, Logits(features, target).to(ScalarType.Float32), places + 1 + step)
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
        if (_vocabulary is not null) TakeVocabulary(DraftVocabulary.MostFrequent(counts, _vocabulary.Tokens.Count, target.Config.EndOfSequenceIds), target);
    }

    /// <summary>Logits of its own vocabulary, [N,V'], from its outputs [N,D].</summary>
    internal Tensor Logits(Tensor features, Target target) => _lmHead is null ? target.Logits(features) : target.Model.Product(features, _lmHead);

    /// <summary>Token ids of its draft vocabulary as token ids of the target. Without a draft vocabulary they are the same.</summary>
    /// <param name="ids">[N], int64, from 0 up to but not including V'.</param>
    /// <returns>[N], int64, from 0 up to but not including the size of the target's vocabulary.</returns>
    internal Tensor ToTargetIds(Tensor ids) => _ids is null ? ids : _ids.index_select(0, ids);

    /// <summary>Empty memory for a drafter, which gives it back.</summary>
    internal EagleMemory RentMemory(Target target, int batch, int capacity)
    {
        var spare = Interlocked.Exchange(ref _spare, null);
        if (spare is not null && spare.Cache.Batch == batch && spare.Cache.Capacity >= capacity && spare.Cache.Device.type == target.Device.type && spare.Cache.Keys[0].dtype == target.Dtype)
        {
            spare.Cache.Clear();
            return spare;
        }
        spare?.Dispose();
        return new EagleMemory(target, Options.Layers, batch, KeyValueCache.RoundUp(capacity, target.Device));
    }

    /// <summary>Takes a drafter's memory back.</summary>
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
        if (options.DraftVocabulary > 0 && options.DraftVocabulary < config.EndOfSequenceIds.Count)
            throw KoalaException.ForOption(nameof(options.DraftVocabulary),
                $"is {options.DraftVocabulary}, but {config.EndOfSequenceIds.Count} tokens end an answer of {target.Name}",
                "set it to about 8000");
        if (options.FusedFeatures && config.Layers < FusedLayers)
            throw KoalaException.ForOption(nameof(options.FusedFeatures),
                $"joins {FusedLayers} layers, but {target.Name} has {config.Layers}", "leave it out");
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var generator = new Generator((ulong)seed, CPU);
        var weights = EagleWeights.Create(config, options, name => Start(name, EagleStateDict.ShapeOf(config, name), generator).to(target.Device).DetachFromDisposeScope().requires_grad_(true));
        // Nothing counted yet: byte-pair vocabularies number the commoner tokens first.
        var vocabulary = options.DraftVocabulary == 0 ? null : DraftVocabulary.MostFrequent(new long[config.VocabularySize], options.DraftVocabulary, config.EndOfSequenceIds);
        return new EagleHead(weights, target, vocabulary);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        _ids?.Dispose();
        _lmHead?.Dispose();
        _spare?.Dispose();
    }

    /// <summary>Three layers of N: 1, N/2-1 and N-4, pushed apart and kept below N where N is small.</summary>
    internal static int[] LayersToFuse(int count)
    {
        var first = Math.Min(1, count - 3);
        var second = Math.Clamp(count / 2 - 1, first + 1, count - 2);
        return [first, second, Math.Max(count - 4, second + 1)];
    }

    private void TakeVocabulary(DraftVocabulary vocabulary, Target target)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        _ids?.Dispose();
        _lmHead?.Dispose();
        _spare?.Dispose();
        _spare = null;
        _vocabulary = vocabulary;
        _ids = tensor(vocabulary.Tokens.Select(token => (long)token).ToArray(), device: target.Device).DetachFromDisposeScope();
        _lmHead = target.LmHead.index_select(0, _ids).DetachFromDisposeScope();
    }

    // Norms start at one, biases at zero, matrices as PyTorch's linear layers; later layers give nothing to the residual at first.
    private static Tensor Start(string name, long[] shape, Generator generator) => name.Split('.') switch
    {
        [.., var last] when last.EndsWith("norm", StringComparison.Ordinal) => ones(shape),
        [.., "bias" or "qkv_bias"] => zeros(shape),
        ["layers", not "0", "o" or "down"] => zeros(shape),
        _ => (rand(shape, generator: generator) * 2 - 1) / Math.Sqrt(shape[^1]),
    };
}
