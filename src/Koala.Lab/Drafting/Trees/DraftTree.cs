namespace Koala.Lab.Drafting.Trees;

/// <summary>The shape of a round's draft: a chain or a tree.</summary>
public abstract record DraftTree
{
    /// <summary>The most candidates that any tree may have; each is a row of the target's step.</summary>
    public const int MaxNodes = 256;

    /// <summary>The number of levels under the root.</summary>
    public abstract int Depth { get; }

    /// <summary>The most candidates of a round.</summary>
    public abstract int Nodes { get; }

    /// <summary>The name that reports use.</summary>
    public abstract string Name { get; }

    /// <summary>Checks the options of the tree.</summary>
    /// <exception cref="KoalaException">An option is out of range.</exception>
    public virtual void Validate()
    {
    }

    /// <summary>
    /// The tree with its unset options chosen for a head that drafts at most <paramref name="maxDraftLength"/> levels.
    /// </summary>
    public virtual DraftTree FitTo(int maxDraftLength) => this;

    /// <summary>Grows a tree for every sequence.</summary>
    /// <param name="drafter">
    /// The drafter, which returns logits level by level; it drafts at least <see cref="Depth"/> levels.
    /// </param>
    /// <param name="sampler">The sampler, which takes the best candidates or draws them.</param>
    internal abstract IReadOnlyList<Draft> Grow(LevelDrafter drafter, ITokenSampler sampler);
}
