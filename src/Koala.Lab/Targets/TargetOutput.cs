using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>What the target computes for new tokens of a batch. B sequences, T rows each, D width, F width of the features.</summary>
/// <param name="Hidden">Hidden states after the final norm, [B,T,D].</param>
/// <param name="Features">
/// The outputs of the layers that were asked for, side by side, [B,T,F]; where none was, <paramref name="Hidden"/> itself.
/// </param>
public readonly record struct TargetOutput(Tensor Hidden, Tensor Features)
{
    /// <summary>Hidden states of some rows of each sequence.</summary>
    /// <param name="rows">For each sequence the indices of its rows; sequences may differ in how many.</param>
    /// <returns>[B,N,D] with N the largest number of rows; what stands behind a sequence's own rows is padding.</returns>
    internal Tensor HiddenAt(IReadOnlyList<IReadOnlyList<int>> rows) => Select(Hidden, rows);

    /// <summary>Features of some rows of each sequence, [B,N,F]; otherwise as <see cref="HiddenAt"/>.</summary>
    internal Tensor FeaturesAt(IReadOnlyList<IReadOnlyList<int>> rows) => Select(Features, rows);

    /// <summary>Steps that followed one another as one: their rows one after another.</summary>
    internal static TargetOutput Concatenate(IReadOnlyList<TargetOutput> steps)
    {
        if (steps.Count == 1) return steps[0];
        var hidden = cat([.. steps.Select(step => step.Hidden)], 1);
        return new TargetOutput(hidden, steps[0].IsShared ? hidden : cat([.. steps.Select(step => step.Features)], 1));
    }

    internal TargetOutput MoveToOuterDisposeScope()
    {
        Hidden.MoveToOuterDisposeScope();
        if (!IsShared) Features.MoveToOuterDisposeScope();
        return this;
    }

    // Both are one tensor, which must be moved once only.
    private bool IsShared => ReferenceEquals(Hidden, Features);

    private static Tensor Select(Tensor states, IReadOnlyList<IReadOnlyList<int>> rows)
    {
        var longest = rows.Max(own => own.Count);
        // What is kept of a chain stands at its beginning already.
        if (rows.All(own => own.SequenceEqual(Enumerable.Range(0, own.Count)))) return states.narrow(1, 0, longest);
        var index = new long[rows.Count * longest];
        for (var b = 0; b < rows.Count; b++)
            for (var i = 0; i < longest; i++) index[b * longest + i] = b * states.shape[1] + (i < rows[b].Count ? rows[b][i] : 0);
        return states.flatten(0, 1).index_select(0, tensor(index, device: states.device)).view(rows.Count, longest, -1);
    }
}
