namespace Koala.Lab.Drafting.Trees;

/// <summary>What a round's draft looks like: a chain, or a tree.</summary>
public abstract record DraftTree
{
    /// <summary>The most candidates of any tree: each is a row of the target's step.</summary>
    public const int MaxNodes = 256;

    /// <summary>Levels under the root.</summary>
    public abstract int Depth { get; }

    /// <summary>The most candidates of a round.</summary>
    public abstract int Nodes { get; }

    /// <summary>What reports call it.</summary>
    public abstract string Name { get; }

    /// <exception cref="KoalaException">An option is out of range.</exception>
    public virtual void Validate()
    {
    }

    /// <summary>The shape with what was left open settled for a head that drafts so many tokens one after another at most.</summary>
    public virtual DraftTree FitTo(int maxDraftLength) => this;

    /// <summary>Grows a tree for every sequence.</summary>
    /// <param name="drafter">Gives logits, level after level; at least <see cref="Depth"/> deep.</param>
    /// <param name="sampler">Takes the best candidates or draws them.</param>
    internal abstract IReadOnlyList<Draft> Grow(LevelDrafter drafter, ITokenSampler sampler);
}
