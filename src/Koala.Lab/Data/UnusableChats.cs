namespace Koala.Lab.Data;

/// <summary>
/// Counts the chats of a file that cannot be used, and keeps the first of them. A file can have millions, and the fault of each is an
/// exception of 2 KB.
/// </summary>
internal sealed class UnusableChats
{
    // A message names so many.
    private const int Kept = 3;

    private readonly List<UnusableChat> _first = [];

    /// <summary>The number of these chats.</summary>
    public int Count { get; private set; }

    /// <summary>The first ones in the order of the file.</summary>
    public IReadOnlyList<UnusableChat> First => _first;

    /// <summary>Adds a chat; they need not come in the order of the file.</summary>
    public void Add(UnusableChat chat)
    {
        Count++;
        _first.Insert(_first.FindLastIndex(other => other.Line < chat.Line) + 1, chat);
        if (_first.Count > Kept) _first.RemoveAt(Kept);
    }
}
