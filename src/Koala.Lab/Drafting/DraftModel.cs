using System.Text;
using Koala.Lab.Runtime;
using Koala.Lab.Targets;

namespace Koala.Lab.Drafting;

/// <summary>
/// A smaller model of the same vocabulary that drafts for the target: the first form of speculative decoding (arXiv
/// 2211.17192, 2302.01318).
/// </summary>
public sealed class DraftModel : IDraftSource, IDisposable
{
    private readonly bool _owns;

    /// <param name="model">The model that drafts. The caller owns it and must dispose it.</param>
    /// <param name="target">The target that it drafts for.</param>
    /// <exception cref="KoalaException">The vocabularies of the two differ.</exception>
    /// <exception cref="KoalaException">One of them is null.</exception>
    public DraftModel(Target model, Target target) : this(model, target, owns: false)
    {
    }

    private DraftModel(Target model, Target target, bool owns)
    {
        KoalaException.ThrowIfNull(model);
        KoalaException.ThrowIfNull(target);
        CheckVocabularies(model, target);
        (Model, _owns) = (model, owns);
    }

    /// <summary>The model that drafts.</summary>
    public Target Model { get; }

    /// <inheritdoc/>
    /// <remarks>It is 16.</remarks>
    public int MaxDraftLength => 16;

    /// <inheritdoc/>
    public IReadOnlyList<int> FeatureLayers => [];

    /// <inheritdoc/>
    public bool DraftsTrees => true;

    /// <summary>Loads a model in the target's dtype and on its device.</summary>
    /// <param name="path">The path of the model, as <see cref="Target.Load"/> takes it.</param>
    /// <param name="target">The target that it drafts for.</param>
    /// <exception cref="KoalaException">
    /// Something in the folder or file is wrong, or the vocabularies differ.
    /// </exception>
    public static DraftModel Load(string path, Target target)
    {
        var model = Target.Load(path, Dtypes.Name(target.WeightDtype), Devices.Name(target.Device));
        try
        {
            return new DraftModel(model, target, owns: true);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    /// <exception cref="KoalaException">
    /// The model's context is too short for the tokens that the target may hold.
    /// </exception>
    public Drafter NewDrafter(Target target, int batch, int capacity)
    {
        var needed = Math.Min(capacity, target.Config.ContextLength);
        if (needed > Model.Config.ContextLength)
            throw KoalaException.ForOption(
                nameof(DraftModel),
                $"{Model.Name} has a context of {Model.Config.ContextLength}, "
                + $"but prompt, answer and draft may take {needed} tokens",
                $"lower {new OptionName("MaxTokens")}, or shorten the prompt");
        return new DraftModelDrafter(Model, target.Config.VocabularySize, MaxDraftLength, batch, capacity);
    }

    /// <summary>Frees the model if <see cref="Load"/> loaded it.</summary>
    public void Dispose()
    {
        if (_owns) Model.Dispose();
    }

    // Models round their embeddings up, each to a size of its own, so only the ids that both have must be the same tokens. Beyond them
    // the larger one may have padding only: an id without a token.
    private static void CheckVocabularies(Target model, Target target)
    {
        if (FirstDifference(model, target) is not { } id) return;
        throw KoalaException.ForOption(nameof(DraftModel),
            $"the vocabularies differ: token {id} is {TextOf(model, id)} in {model.Name} and {TextOf(target, id)} in {target.Name}",
            "choose a draft model of the target's own family");
    }

    private static int? FirstDifference(Target model, Target target)
    {
        for (var id = 0; id < Math.Max(model.Tokenizer.VocabularySize, target.Tokenizer.VocabularySize); id++)
            if (!model.Tokenizer.Bytes(id).AsSpan().SequenceEqual(target.Tokenizer.Bytes(id))) return id;
        return null;
    }

    private static string TextOf(Target model, int id) =>
        id < model.Tokenizer.VocabularySize ? $"'{MessageText.Text(Encoding.UTF8.GetString(model.Tokenizer.Bytes(id)))}'" : "none";
}
