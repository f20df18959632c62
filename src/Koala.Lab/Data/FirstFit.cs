namespace Koala.Lab.Data;

/// <summary>
/// Finds the first row with enough room in log(rows) steps, by a tree in which each node knows the largest room below
/// it.
/// </summary>
internal sealed class FirstFit
{
    private readonly int[] _room;
    private readonly int _leaves;

    /// <param name="rows">The largest number of rows that can be needed.</param>
    /// <param name="length">The room of an empty row.</param>
    public FirstFit(int rows, int length)
    {
        for (_leaves = 1; _leaves < rows; _leaves *= 2) ;
        _room = new int[2 * _leaves];
        Array.Fill(_room, length);
    }

    /// <summary>Takes room from the first row that has enough.</summary>
    /// <param name="count">The room to take, at most the length of a row.</param>
    /// <returns>The index of the row.</returns>
    public int Take(int count)
    {
        var node = 1;
        while (node < _leaves) node = _room[2 * node] >= count ? 2 * node : 2 * node + 1;
        var row = node - _leaves;
        _room[node] -= count;
        for (node /= 2; node >= 1; node /= 2) _room[node] = Math.Max(_room[2 * node], _room[2 * node + 1]);
        return row;
    }
}
