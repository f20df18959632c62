using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>What the target computes for new tokens of a batch.</summary>
/// <remarks>B sequences, T rows each, D width, F width of the features.</remarks>
/// <param name="Hidden">The hidden states after the final norm, [B,T,D].</param>
/// <param name="Features">
/// The outputs of the layers that were asked for, concatenated, [B,T,F]; where none was asked for,
/// <paramref name="Hidden"/> itself.
/// </param>
public readonly record struct TargetOutput(Tensor Hidden, Tensor Features)
{
    /// <summary>The hidden states of some rows of each sequence.</summary>
    /// <param name="rows">The indices of the rows of each sequence; sequences may differ in their number.</param>
    /// <returns>
    /// [B,N,D], where N is the largest number of rows; what follows a sequence's own rows is padding.
    /// </returns>
    internal Tensor HiddenAt(IReadOnlyList<IReadOnlyList<int>> rows) => Select(Hidden, rows);

    /// <summary>The features of some rows of each sequence, [B,N,F]; otherwise as <see cref="HiddenAt"/>.</summary>
    internal Tensor FeaturesAt(IReadOnlyList<IReadOnlyList<int>> rows) => Select(Features, rows);

    /// <summary>The features of G sequences as those of some of B sequences, [B,T,F]; the rows of the others have no meaning.</summary>
    /// <param name="sequences">The G of the B sequences, in ascending order.</param>
    /// <param name="batch">B.</param>
    internal Tensor FeaturesAmong(IReadOnlyList<int> sequences, int batch)
    {
        if (sequences.Count == batch) return Features;
        using var scope = NewDisposeScope();
        var index = tensor(sequences.Select(b => (long)b).ToArray(), device: Features.device);
        return Features.new_zeros(batch, Features.shape[1], Features.shape[2]).index_copy_(0, index, Features).MoveToOuterDisposeScope();
    }

    /// <summary>Joins the outputs of consecutive steps: their rows follow one another.</summary>
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

    // Where both are one tensor, it must be moved only once.
    private bool IsShared => ReferenceEquals(Hidden, Features);

    private static Tensor Select(Tensor states, IReadOnlyList<IReadOnlyList<int>> rows)
    {
        var longest = rows.Max(indices => indices.Count);
        // The rows that a chain keeps are its first ones.
        var areFirst = rows.All(indices => indices.SequenceEqual(Enumerable.Range(0, indices.Count)));
        if (areFirst) return states.narrow(1, 0, longest);
        var index = new long[rows.Count * longest];
        for (var b = 0; b < rows.Count; b++)
            for (var i = 0; i < longest; i++)
            {
                var row = i < rows[b].Count ? rows[b][i] : 0;
                index[b * longest + i] = b * states.shape[1] + row;
            }
        return states.flatten(0, 1).index_select(0, tensor(index, device: states.device)).view(rows.Count, longest, -1);
    }
}
