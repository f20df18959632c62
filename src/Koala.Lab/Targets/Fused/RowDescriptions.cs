using static TorchSharp.torch;

namespace Koala.Lab.Targets.Fused;

/// <summary>The rows of a step as Decoder.cu reads them: each row's token, its place and the slots that it attends to.</summary>
internal static class RowDescriptions
{
    /// <summary>The ints of a row's description.</summary>
    public const int Ints = 128;

    /// <summary>The most slots of a row behind those that begin at the first one.</summary>
    public const int MostFurther = Ints - Header;

    private const int Header = 8;

    /// <summary>Describes some rows of a step.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="ids">The tokens of all rows.</param>
    /// <param name="start">The first row to describe.</param>
    /// <param name="count">The number of rows, N.</param>
    /// <param name="given">For a head, the row of the given features that each row's token is joined with; null for a target.</param>
    /// <returns>The descriptions, [N,Ints], int32, on the host.</returns>
    public static Tensor Create(StepRows rows, int[] ids, int start, int count, int[]? given = null)
    {
        var numbers = new int[count * Ints];
        for (var i = 0; i < count; i++)
        {
            var row = start + i;
            var visible = rows.Visible(row);
            var to = numbers.AsSpan(i * Ints, Ints);
            (to[0], to[1], to[2], to[3]) = (ids[row], rows.Sequence(row), rows.Slot(row), rows.Position(row));
            (to[4], to[5], to[6]) = (visible.First, visible.Count, given?[row] ?? 0);
            visible.Further.CopyTo(to[Header..]);
        }
        return tensor(numbers).view(count, Ints);
    }

    /// <summary>
    /// Describes rows that attend to everything up to themselves, one of each sequence, from what is on the device.
    /// </summary>
    /// <param name="to">Gets the descriptions, [B,Ints], int32.</param>
    /// <param name="ids">The tokens, [B].</param>
    /// <param name="positions">Their positions, which are also their slots, [B,1].</param>
    public static void Causal(Tensor to, Tensor ids, Tensor positions)
    {
        using var scope = NewDisposeScope();
        var slots = positions.view(-1);
        var sequences = arange(ids.shape[0], ScalarType.Int64, ids.device);
        var columns = stack([ids, sequences, slots, slots, slots + 1, slots + 1], 1);
        to.narrow(1, 0, columns.shape[1]).copy_(columns);
    }
}
