namespace Koala.Lab.Data;

/// <summary>Chooses the number of tokens per row that fits the conversations of a file.</summary>
internal static class RowLengths
{
    // The longest tenth is cut: rows that hold all of it would be mostly padding, and a step would take longer.
    private const double Whole = 0.9;

    // Row lengths are multiples of this.
    private const int Granularity = 64;

    // Rows of this length do well with short conversations, if there are this many rows of it.
    private const int Usual = 256;
    private const int UsualRows = 64;

    /// <summary>A length that nine of ten conversations fit into. Short conversations share longer rows.</summary>
    /// <param name="lengths">The tokens of each conversation; at least one.</param>
    public static int Choose(IReadOnlyCollection<int> lengths)
    {
        int[] ordered = [.. lengths.Order()];
        var fitting = RoundUp(Math.Max(1, ordered[(int)Math.Ceiling(Whole * ordered.Length) - 1]));
        return lengths.Sum(length => (long)length) >= Usual * UsualRows ? Math.Max(fitting, Usual) : fitting;
    }

    private static int RoundUp(int length) => (length + Granularity - 1) / Granularity * Granularity;
}
