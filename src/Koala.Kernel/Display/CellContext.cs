namespace Koala.Kernel.Display;

/// <summary>The cell that the calling code belongs to: it flows with tasks and threads, so that what a task prints later goes to the cell that started it.</summary>
internal sealed class CellContext(CellOutput output, Func<string, bool, string?>? read, CancellationToken cancel)
{
    private static readonly AsyncLocal<CellContext?> s_flowing = new();
    private static volatile CellContext? s_latest;

    /// <summary>The cell of the calling code; where that is unknown (a native callback's thread) the latest one; null before the first.</summary>
    public static CellContext? Current => s_flowing.Value ?? s_latest;

    public CellOutput Output => output;

    /// <summary>Cancelled when the cell is interrupted.</summary>
    public CancellationToken Cancel => cancel;

    /// <summary>Asks the person at the front end for a line (prompt, hidden); null where the front end cannot ask.</summary>
    public Func<string, bool, string?>? Read => read;

    /// <summary>Makes this the cell of the calling flow.</summary>
    public void Enter() => (s_flowing.Value, s_latest) = (this, this);
}
