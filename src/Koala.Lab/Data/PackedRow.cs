namespace Koala.Lab.Data;

/// <summary>
/// Conversations that follow one another in a row of fixed length T. None of them attends to another.
/// </summary>
/// <param name="Tokens">The token ids, [T].</param>
/// <param name="Positions">The positions of the tokens, counted from 0 in each segment, [T].</param>
/// <param name="Segments">
/// The conversation of the row that each token belongs to, counted from 0, [T]. The padding at the end is a segment of
/// its own.
/// </param>
/// <param name="LossMask">True at the tokens that a head learns from, [T].</param>
public sealed record PackedRow(int[] Tokens, int[] Positions, int[] Segments, bool[] LossMask);
