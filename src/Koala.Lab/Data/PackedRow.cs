namespace Koala.Lab.Data;

/// <summary>Whole conversations side by side in a row of fixed length T, none of which sees another.</summary>
/// <param name="Tokens">Token ids, [T].</param>
/// <param name="Positions">Counted from 0 in each segment, [T].</param>
/// <param name="Segments">Which conversation of the row a token is of, counted from 0; padding at the end is a segment of its own, [T].</param>
/// <param name="LossMask">True where a head learns, [T].</param>
public sealed record PackedRow(int[] Tokens, int[] Positions, int[] Segments, bool[] LossMask);
