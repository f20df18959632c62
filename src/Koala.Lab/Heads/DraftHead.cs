using Koala.Lab.Checkpoints;
using Koala.Lab.Checkpoints.Safetensors;
using Koala.Lab.Drafting;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Heads;

/// <summary>The small network that proposes. Kinds differ in how they draft and what their files hold; trainer, decoder and metrics see only this.</summary>
public abstract class DraftHead : IDraftSource, IDisposable
{
    /// <param name="options">Kind and sizes.</param>
    /// <param name="target">The target it is made for.</param>
    protected DraftHead(HeadOptions options, TargetIdentity target) => (Options, Target) = (options, target);

    /// <summary>Kind and sizes.</summary>
    public HeadOptions Options { get; }

    /// <summary>The target it is made for.</summary>
    public TargetIdentity Target { get; }

    /// <inheritdoc/>
    public abstract int MaxDraftLength { get; }

    /// <inheritdoc/>
    public virtual IReadOnlyList<int> FeatureLayers => [];

    /// <summary>The part of the target's vocabulary that it predicts over; null: all of it.</summary>
    public virtual DraftVocabulary? Vocabulary => null;

    /// <summary>What training changes, by name, in a fixed order. They remain the head's, which frees them when it is disposed.</summary>
    public abstract StateDict Parameters { get; }

    /// <summary>Number of its own weights; what it takes from the target does not count.</summary>
    public long ParameterCount => Parameters.Sum(p => p.Value.numel());

    /// <inheritdoc/>
    public abstract Drafter NewDrafter(Target target, int batch, int capacity);

    /// <summary>Predictions with gradients to <see cref="Parameters"/>, one for each depth, the first one first.</summary>
    public abstract IReadOnlyList<HeadOutput> Predict(TrainingBatch batch, Target target);

    /// <summary>Called once before it is trained; a head with a draft vocabulary takes the most frequent tokens. By default it does nothing.</summary>
    /// <param name="counts">How often each of the target's tokens occurs in the answers to learn from.</param>
    /// <param name="target">The target it is made for.</param>
    public virtual void ChooseVocabulary(IReadOnlyList<long> counts, Target target)
    {
    }

    /// <summary>The tensors of its file, under their published names. Views: the caller disposes them, the weights stay.</summary>
    public abstract StateDict ToStateDict();

    /// <summary>A new, untrained head of a registered kind, in fp32.</summary>
    /// <param name="options">Kind and sizes.</param>
    /// <param name="target">The target it is made for.</param>
    /// <param name="seed">Of what starts at random.</param>
    /// <exception cref="KoalaException">An option is out of range, or the kind is not known.</exception>
    public static DraftHead Create(HeadOptions options, Target target, int seed = 0)
    {
        options.Validate();
        return HeadRegistry.Find(options).Create(options, target, seed);
    }

    /// <summary>Loads a head's folder, or the <c>head</c> folder of a run, in the target's dtype and on its device.</summary>
    /// <exception cref="KoalaException">The folder, its config or tensors are wrong, or the head was made for another target.</exception>
    public static DraftHead Load(string folder, Target target)
    {
        var (options, identity) = HeadFolder.ReadConfig(folder);
        if (!target.Identity.Matches(identity))
            throw new KoalaException(Path.Combine(folder, HeadFolder.ConfigFile), $"this head is made for {identity}, but the target is {target.Identity}",
                "use the head with its own target, or train one for this target");
        using var source = SafetensorsFile.Open(Path.Combine(folder, HeadFolder.WeightsFile));
        return HeadRegistry.Find(options).Read(options, target, source);
    }

    /// <summary>Writes the head's folder: config, weights and card. Files are complete or absent.</summary>
    /// <param name="folder">Made if it is not there.</param>
    /// <param name="card">Markdown about the head: what it is, how it was trained.</param>
    /// <param name="dtype">What its weights are rounded to. Null: as they are.</param>
    /// <exception cref="KoalaException">The folder cannot be written.</exception>
    public void Save(string folder, string card, ScalarType? dtype = null)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        // A map of a draft vocabulary is no weight.
        SafetensorsWriter.Write(Path.Combine(folder, HeadFolder.WeightsFile),
            [.. ToStateDict().Select(t => KeyValuePair.Create(t.Key, t.Value.is_floating_point() ? t.Value.to(dtype ?? t.Value.dtype) : t.Value))]);
        HeadFolder.WriteConfig(folder, Options, Target, card);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees the weights.</summary>
    protected virtual void Dispose(bool disposing) => Parameters.Dispose();
}
