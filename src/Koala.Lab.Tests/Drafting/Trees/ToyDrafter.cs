using Koala.Lab.Drafting;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Drafting.Trees;

/// <summary>
/// A drafter whose logits depend on the token before, through a table; it records its calls. V is its vocabulary.
/// </summary>
/// <param name="table">Logits of the token after each token, [V,V].</param>
/// <param name="roots">The root of each sequence.</param>
/// <param name="vocabulary">
/// The draft vocabulary, if the ids are part of a larger vocabulary; roots are the target's ids in any case.
/// </param>
internal sealed class ToyDrafter(Tensor table, IReadOnlyList<int> roots, DraftVocabulary? vocabulary = null) : LevelDrafter
{
    public override int MaxDraftLength => 16;

    public override int Batch => roots.Count;

    public override DraftVocabulary? Vocabulary => vocabulary;

    /// <summary>The tokens and parents of each call of Next.</summary>
    public List<(IReadOnlyList<int[]> Tokens, IReadOnlyList<int[]> Parents)> Calls { get; } = [];

    public override void Extend(Tensor features, IReadOnlyList<int[]> tokens) => throw new NotSupportedException();

    public override Tensor First() => After(roots);

    public override Tensor Next(IReadOnlyList<int[]> tokens, IReadOnlyList<int[]> parents)
    {
        Assert.Equal(Batch, tokens.Count);
        for (var b = 0; b < Batch; b++)
            if (tokens[b].Length != tokens[0].Length || parents[b].Length != tokens[0].Length)
                Assert.Fail($"sequence {b} has another number of candidates");
        Calls.Add((tokens, parents));
        return After([.. tokens.SelectMany(t => t)]);
    }

    private Tensor After(IEnumerable<int> tokens) =>
        table.index_select(0,
            tensor(tokens.Select(t => (long)(vocabulary is null ? t : vocabulary.Tokens.ToList().IndexOf(t)))
                .ToArray()));
}
