using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>Where the tokens of trees stand and what they do not see. B sequences, T new tokens each, L cache slots.</summary>
internal static class TreeAttention
{
    /// <param name="parents">See <see cref="TokenTrees.Parents"/>.</param>
    /// <param name="lengths">What each sequence holds already.</param>
    /// <param name="held">How many of these belong to the tree.</param>
    /// <param name="count">T.</param>
    /// <param name="places">Slots of the new tokens, [B,T].</param>
    /// <param name="slots">0 to L-1.</param>
    /// <returns>Positions [B,T]: a node's is its parent's and one; unseen slots, [B,T,L].</returns>
    public static (Tensor Positions, Tensor Masked) Compute(IReadOnlyList<int[]> parents, IReadOnlyList<int> lengths, int held, int count, Tensor places, Tensor slots)
    {
        using var scope = NewDisposeScope();
        var size = held + count;
        var (depths, hidden) = (new long[parents.Count * size], new bool[parents.Count * size * size]);
        Array.Fill(hidden, true);
        for (var b = 0; b < parents.Count; b++)
        {
            for (var i = 0; i < parents[b].Length; i++)
            {
                var (parent, at) = (parents[b][i], (b * size + i) * size);
                if (parent >= i) throw new ArgumentException($"token {i} of sequence {b} comes before its parent {parent}", nameof(parents));
                if (parent >= 0)
                {
                    Array.Copy(hidden, (b * size + parent) * size, hidden, at, size);
                    depths[b * size + i] = depths[b * size + parent] + 1;
                }
                hidden[at + i] = false;
            }
            // Padding sees itself, so that its attention is over something; nobody reads it.
            for (var i = parents[b].Length; i < size; i++) hidden[(b * size + i) * size + i] = false;
        }
        var among = tensor(hidden, device: places.device).view(parents.Count, size, size).narrow(1, held, count);
        var start = places.narrow(1, 0, 1) - held;
        var positions = start + tensor(depths, device: places.device).view(parents.Count, size).narrow(1, held, count);
        var masked = (slots >= start).unsqueeze(1).expand(-1, count, -1).clone();
        for (var b = 0; b < parents.Count; b++) masked[b].narrow(1, lengths[b] - held, size).copy_(among[b]);
        return (positions.MoveToOuterDisposeScope(), masked.MoveToOuterDisposeScope());
    }
}
