using Koala.Lab.Heads.Trees;
using static TorchSharp.torch;

namespace Koala.Lab.Heads;

/// <summary>A drafter that gives distributions, level after level of the tree, and leaves it to the tree's shape which candidates follow. V' its vocabulary.</summary>
public abstract class LevelDrafter : Drafter
{
    /// <summary>Sequences.</summary>
    public abstract int Batch { get; }

    /// <summary>Which tokens its logits are about; null: all of the target's.</summary>
    public virtual DraftVocabulary? Vocabulary => null;

    /// <summary>Logits of the token after each root, [B,V'].</summary>
    public abstract Tensor First();

    /// <summary>Logits of the tokens after the next level's candidates; as many in each sequence.</summary>
    /// <param name="tokens">Of each sequence n candidates, ids of the target's vocabulary.</param>
    /// <param name="parents">Of each its parent's place in the level before; 0 for the root's children.</param>
    /// <returns>[B·n,V'], sequence by sequence.</returns>
    public abstract Tensor Next(IReadOnlyList<int[]> tokens, IReadOnlyList<int[]> parents);

    /// <inheritdoc/>
    public sealed override IReadOnlyList<Draft> Propose(DraftShape shape, ICandidateChooser chooser) => shape.Grow(this, chooser);

    /// <summary>The target's token of one of the drafter's own ids.</summary>
    internal int OfTarget(int id) => Vocabulary is { } vocabulary ? vocabulary.Tokens[id] : id;

    /// <summary>Candidates from logits, as tokens of the target.</summary>
    /// <param name="chooser">Takes the best or draws.</param>
    /// <param name="logits">[B·n,V'].</param>
    /// <param name="count">Candidates a row.</param>
    internal IReadOnlyList<Choice[]> Choose(ICandidateChooser chooser, Tensor logits, int count)
    {
        var choices = chooser.Choose(logits, count);
        return Vocabulary is { } vocabulary ? [.. choices.Select(row => row.Select(vocabulary.OfTarget).ToArray())] : choices;
    }
}
