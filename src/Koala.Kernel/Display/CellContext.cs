namespace Koala.Kernel.Display;

/// <summary>
/// The cell that the calling code belongs to. It flows with tasks and threads, so that text which a task prints later
/// goes to the cell that started the task.
/// </summary>
internal sealed class CellContext(CellOutput output, Func<string, bool, string?>? read, CancellationToken cancel)
{
    private static readonly AsyncLocal<CellContext?> s_flowing = new();
    private static volatile CellContext? s_latest;

    /// <summary>
    /// The cell of the calling code. If that is unknown (on the thread of a native callback), it is the latest cell;
    /// before the first cell it is null.
    /// </summary>
    public static CellContext? Current => s_flowing.Value ?? s_latest;

    public CellOutput Output => output;

    /// <summary>A token that is cancelled when the cell is interrupted.</summary>
    public CancellationToken Cancel => cancel;

    /// <summary>
    /// A function that asks the person at the front end for a line. It takes the prompt and whether the input is
    /// hidden. It is null if the front end cannot ask.
    /// </summary>
    public Func<string, bool, string?>? Read => read;

    /// <summary>Makes this the cell of the calling code and of all tasks that the code starts.</summary>
    public void Enter() => (s_flowing.Value, s_latest) = (this, this);
}
