using Koala.Lab.Checkpoints;
using Koala.Lab.Checkpoints.Safetensors;
using Koala.Lab.Drafting;
using Koala.Lab.Heads.Learning;
using Koala.Lab.Heads.Published;
using Koala.Lab.Targets;
using static TorchSharp.torch;

namespace Koala.Lab.Heads;

/// <summary>A small network on top of the target that proposes tokens.</summary>
/// <remarks>
/// Kinds of head differ in how they draft and in what their files hold. The trainer, the decoder and the metrics know
/// this class only.
/// </remarks>
public abstract class DraftHead : IDraftSource, IDisposable
{
    private bool _disposed;

    /// <param name="options">The kind and sizes of the head.</param>
    /// <param name="target">The target that the head is made for.</param>
    protected DraftHead(HeadOptions options, TargetIdentity target) => (Options, Target) = (options, target);

    /// <summary>The kind and sizes of the head.</summary>
    public HeadOptions Options { get; }

    /// <summary>The target that the head is made for.</summary>
    public TargetIdentity Target { get; }

    /// <summary>Where a head of another project comes from; null for one of Koala's own.</summary>
    public HeadOrigin? Origin { get; internal set; }

    /// <inheritdoc/>
    public abstract int MaxDraftLength { get; }

    /// <inheritdoc/>
    public virtual IReadOnlyList<int> FeatureLayers => [];

    /// <inheritdoc/>
    public virtual bool HasConfidences => false;

    /// <inheritdoc/>
    /// <remarks>The default is true: a head's drafter is a <see cref="LevelDrafter"/>. Override it if yours proposes chains only.</remarks>
    public virtual bool DraftsTrees => true;

    /// <summary>The part of the target's vocabulary that the head predicts over; null means all of it.</summary>
    public virtual DraftVocabulary? Vocabulary => null;

    /// <summary>
    /// The tensors that training changes, by name and in a fixed order. The head owns and disposes them.
    /// </summary>
    public abstract StateDict Parameters { get; }

    /// <summary>The number of the head's own weights. Weights that it takes from the target do not count.</summary>
    public long ParameterCount => Parameters.Sum(p => p.Value.numel());

    /// <inheritdoc/>
    public abstract Drafter NewDrafter(Target target, int batch, int capacity);

    /// <summary>
    /// Computes the head's outputs for a batch: one per depth, in order, with gradients to <see cref="Parameters"/>.
    /// </summary>
    public abstract IReadOnlyList<HeadOutput> Predict(TrainingBatch batch, Target target);

    /// <summary>
    /// Chooses the draft vocabulary. This is called once before training; a head with a draft vocabulary takes the most
    /// frequent tokens. By default it does nothing.
    /// </summary>
    /// <param name="counts">How often each of the target's tokens occurs in the answers of the training data.</param>
    /// <param name="target">The target that the head is made for.</param>
    public virtual void ChooseVocabulary(IReadOnlyList<long> counts, Target target)
    {
    }

    /// <summary>
    /// The tensors of the head's file under their published names. They are views of the weights. The caller must
    /// dispose them, which does not affect the weights.
    /// </summary>
    public abstract StateDict ToStateDict();

    /// <summary>
    /// A head of only the first layers of this one, an early exit: the output of the last of them goes to the LM head. Its weights are
    /// copies; the caller owns it.
    /// </summary>
    /// <param name="layers">The number of layers, 1 to K.</param>
    /// <param name="target">The target of the head.</param>
    /// <exception cref="KoalaException">The head has fewer layers, or heads of its kind cannot stop after some of their layers.</exception>
    public DraftHead FirstLayers(int layers, Target target)
    {
        ThrowIfDisposed();
        KoalaException.ThrowIfNull(target);
        if (layers < 1 || layers > Options.Layers)
            throw KoalaException.ForOption(nameof(layers), $"is {layers}, but the head has {Options.Layers}",
                $"set it to a number from 1 to {Options.Layers}");
        using var _ = no_grad();
        return CopyFirstLayers(layers, target);
    }

    /// <summary>Copies the first layers. Kinds of head override it; by default heads cannot do this.</summary>
    /// <param name="layers">The number of layers, 1 to K.</param>
    /// <param name="target">The target of the head.</param>
    /// <exception cref="KoalaException">Heads of this kind cannot stop after some of their layers.</exception>
    protected virtual DraftHead CopyFirstLayers(int layers, Target target) =>
        throw new KoalaException($"the {Options.Kind} head", "cannot stop after some of its layers",
            $"override {nameof(CopyFirstLayers)} in the kind of head, or measure it with all its layers");

    /// <summary>Creates a new, untrained head of a registered kind in fp32.</summary>
    /// <param name="options">The kind and sizes of the head.</param>
    /// <param name="target">The target that the head is made for.</param>
    /// <param name="seed">The seed of the random initial weights.</param>
    /// <exception cref="KoalaException">An option is out of range, or the kind is not registered.</exception>
    public static DraftHead Create(HeadOptions options, Target target, int seed = 0)
    {
        KoalaException.ThrowIfNull(options);
        KoalaException.ThrowIfNull(target);
        options.Validate();
        return HeadRegistry.Find(options).Create(options, target, seed);
    }

    /// <summary>
    /// Loads a head's folder, or the <c>head</c> folder of a run, in the target's dtype and on its device. The folder may hold a head of
    /// another project, in one of the formats of <see cref="PublishedHead"/>.
    /// </summary>
    /// <exception cref="KoalaException">
    /// The folder, the config or the tensors are wrong, or the head is for another target.
    /// </exception>
    public static DraftHead Load(string folder, Target target)
    {
        KoalaException.ThrowIfNull(folder);
        KoalaException.ThrowIfNull(target);
        if (PublishedHead.FormatOf(folder) is not null) return PublishedHead.Load(folder, target);
        var (options, identity) = HeadFolder.ReadConfig(folder);
        if (!target.Identity.Matches(identity))
            throw new KoalaException(Path.Combine(folder, HeadFolder.ConfigFile),
                $"this head is made for {identity}, but the target is {target.Identity}",
                "use the head with its own target, or train one for this target");
        using var file = WeightFile.Open(Path.Combine(folder, HeadFolder.WeightsFile));
        return HeadRegistry.Find(options).Read(options, target, new CheckedTensors(file));
    }

    /// <summary>A copy of the head in the target's dtype, as it would draft after it was saved and loaded.</summary>
    /// <param name="target">The target of the head.</param>
    /// <returns>The copy, which the caller owns.</returns>
    /// <exception cref="KoalaException">A weight is not finite in that dtype.</exception>
    internal DraftHead CopyForDrafting(Target target)
    {
        ThrowIfDisposed();
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var tensors = ToStateDict();
        using var source = new TensorsInMemory(tensors, $"the {Options.Kind} head");
        return HeadRegistry.Find(Options).Read(Options, target, new CheckedTensors(source));
    }

    /// <summary>Writes the head's folder: config, weights and card. Files are complete or absent.</summary>
    /// <param name="folder">The folder. It is created if it does not exist.</param>
    /// <param name="card">Markdown text that says what the head is and how it was trained.</param>
    /// <param name="dtype">The dtype that the weights are rounded to; null keeps their own.</param>
    /// <exception cref="KoalaException">The folder cannot be written.</exception>
    public void Save(string folder, string card, ScalarType? dtype = null)
    {
        ThrowIfDisposed();
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        // The maps of a draft vocabulary are integers and keep their dtype.
        Tensor Rounded(Tensor value) => value.is_floating_point() ? value.to(dtype ?? value.dtype) : value;
        SafetensorsWriter.Write(Path.Combine(folder, HeadFolder.WeightsFile),
            [.. ToStateDict().Select(t => KeyValuePair.Create(t.Key, Rounded(t.Value)))]);
        HeadFolder.WriteConfig(folder, Options, Target, card);
    }

    /// <exception cref="KoalaException">The head is disposed.</exception>
    internal void ThrowIfDisposed() => KoalaException.ThrowIfDisposed(_disposed, "the head");

    /// <summary>The error for logits that are not finite; it names the weights that are not.</summary>
    internal KoalaException NotFinite()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var name = ToStateDict().FirstOrDefault(t => !t.Value.isfinite().all().item<bool>()).Key;
        return new KoalaException(name is null ? $"the {Options.Kind} head" : $"the {Options.Kind} head, tensor '{MessageText.Text(name)}'",
            name is null
                ? "computes logits that are not finite (NaN or infinity), though its weights are finite"
                : "has weights that are not finite (NaN or infinity)",
            "train the head again");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _disposed = true;
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees the weights.</summary>
    protected virtual void Dispose(bool disposing) => Parameters.Dispose();
}
