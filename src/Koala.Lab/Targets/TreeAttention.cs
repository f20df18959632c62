using static TorchSharp.torch;

namespace Koala.Lab.Targets;

/// <summary>Computes the positions of the tokens of trees and the cache slots that they do not attend to.</summary>
/// <remarks>B sequences, T new tokens each, L cache slots.</remarks>
internal static class TreeAttention
{
    /// <param name="parents">The parents of the tokens; see <see cref="TokenTrees.Parents"/>.</param>
    /// <param name="lengths">The number of tokens that each sequence holds already.</param>
    /// <param name="held">The number of these tokens that belong to the tree.</param>
    /// <param name="count">T.</param>
    /// <param name="newSlots">The slots of the new tokens, [B,T].</param>
    /// <param name="slots">The numbers 0 to L-1, [L].</param>
    /// <returns>
    /// The positions, [B,T]: a token's position is one after its parent's. The mask, [B,T,L]: true at the slots that a
    /// token does not attend to. The positions of the tokens in the slots, [B,L].
    /// </returns>
    public static (Tensor Positions, Tensor Masked, Tensor SlotPositions) Compute(
        IReadOnlyList<int[]> parents, IReadOnlyList<int> lengths, int held, int count, Tensor newSlots, Tensor slots)
    {
        using var scope = NewDisposeScope();
        var size = held + count;
        var depths = new long[parents.Count * size];
        var hidden = new bool[parents.Count * size * size];
        Array.Fill(hidden, true);
        for (var b = 0; b < parents.Count; b++)
        {
            for (var i = 0; i < parents[b].Length; i++)
            {
                var parent = parents[b][i];
                var row = (b * size + i) * size;
                if (parent >= i)
                    throw new ArgumentException($"token {i} of sequence {b} comes before its parent {parent}", nameof(parents));
                if (parent >= 0)
                {
                    Array.Copy(hidden, (b * size + parent) * size, hidden, row, size);
                    depths[b * size + i] = depths[b * size + parent] + 1;
                }
                hidden[row + i] = false;
            }
            // Padding attends to itself, because attention over nothing gives NaN; nobody reads its output.
            for (var i = parents[b].Length; i < size; i++) hidden[(b * size + i) * size + i] = false;
        }
        var device = newSlots.device;
        var withinTree = tensor(hidden, device: device).view(parents.Count, size, size).narrow(1, held, count);
        var start = newSlots.narrow(1, 0, 1) - held;
        var treePositions = start + tensor(depths, device: device).view(parents.Count, size);
        var positions = treePositions.narrow(1, held, count);
        var slotPositions = slots.unsqueeze(0).expand(parents.Count, -1).clone();
        var masked = (slots >= start).unsqueeze(1).expand(-1, count, -1).clone();
        for (var b = 0; b < parents.Count; b++)
        {
            masked[b].narrow(1, lengths[b] - held, size).copy_(withinTree[b]);
            slotPositions[b].narrow(0, lengths[b] - held, size).copy_(treePositions[b]);
        }
        return (positions.clone().MoveToOuterDisposeScope(), masked.MoveToOuterDisposeScope(), slotPositions.MoveToOuterDisposeScope());
    }
}
