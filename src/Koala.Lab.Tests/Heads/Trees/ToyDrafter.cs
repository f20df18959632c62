using Koala.Lab.Heads;
using static TorchSharp.torch;

namespace Koala.Lab.Tests.Heads.Trees;

/// <summary>A drafter over a toy's table: the logits after a token are the logarithms of its row. One sequence, whose root is token 0 unless told.</summary>
internal sealed class ToyDrafter(float[][] q) : LevelDrafter
{
    private readonly Tensor _logits = tensor(q.SelectMany(row => row).Select(x => MathF.Log(x)).ToArray()).view(q.Length, -1).DetachFromDisposeScope();

    public int Root { get; set; }

    /// <summary>Tokens and parents of each level that was asked for.</summary>
    public List<(int[] Tokens, int[] Parents)> Levels { get; } = [];

    public override int MaxDraftLength => 64;

    public override int Batch => 1;

    public override void CatchUp(Tensor features, IReadOnlyList<int[]> tokens) => Root = tokens[0][^1];

    public override Tensor First()
    {
        Levels.Clear();
        return _logits.narrow(0, Root, 1);
    }

    public override Tensor Next(IReadOnlyList<int[]> tokens, IReadOnlyList<int[]> parents)
    {
        Levels.Add((tokens[0], parents[0]));
        return _logits.index_select(0, tensor(tokens[0].Select(t => (long)t).ToArray()));
    }

    protected override void Dispose(bool disposing)
    {
        _logits.Dispose();
        base.Dispose(disposing);
    }
}
