using Koala.Kernel.Display;

namespace Koala.Kernel.Scripting;

/// <summary>
/// The flag that an interrupt sets and that every loop of a cell checks. <see cref="InterruptRewriter"/> inserts the
/// calls of <see cref="Check"/> into cells; nobody writes them by hand.
/// </summary>
public static class StopFlag
{
    private static volatile bool s_set;

    /// <summary>Whether the running cell has been asked to stop.</summary>
    public static bool IsSet => s_set;

    /// <summary>The token of the running cell, which <see cref="CancellationRewriter"/> passes to calls.</summary>
    public static CancellationToken Cancel => CellContext.Current?.Cancel ?? CancellationToken.None;

    /// <summary>Throws if the running cell has been asked to stop.</summary>
    /// <exception cref="OperationCanceledException">The cell was interrupted.</exception>
    public static void Check()
    {
        if (s_set) throw new OperationCanceledException("The cell was interrupted.");
    }

    internal static void Set() => s_set = true;

    internal static void Clear() => s_set = false;
}
