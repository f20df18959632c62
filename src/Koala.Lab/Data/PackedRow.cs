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
public sealed record PackedRow(int[] Tokens, int[] Positions, int[] Segments, bool[] LossMask)
{
    /// <summary>
    /// The positions t at which the token t+<paramref name="ahead"/> can be learned: all tokens from t+1 up to it
    /// belong to the same answer.
    /// </summary>
    internal IEnumerable<int> LabelPositions(int ahead)
    {
        for (var t = 0; t + ahead < Tokens.Length; t++)
            if (Segments[t] == Segments[t + ahead] && !LossMask.AsSpan(t + 1, ahead).Contains(false)) yield return t;
    }
}
