namespace Koala.Lab.Data;

/// <summary>Finds the first row with room in log(rows) steps: a tree in which each node knows the most room below it.</summary>
internal sealed class FirstFit
{
    private readonly int[] _room;
    private readonly int _leaves;

    /// <param name="rows">The most rows there can be.</param>
    /// <param name="length">The room of an empty row.</param>
    public FirstFit(int rows, int length)
    {
        for (_leaves = 1; _leaves < rows; _leaves *= 2) ;
        _room = new int[2 * _leaves];
        Array.Fill(_room, length);
    }

    /// <summary>Takes room from the first row that has enough.</summary>
    /// <param name="count">At most the length of a row.</param>
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
