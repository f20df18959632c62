using Koala.Kernel.Display;

namespace Koala.Kernel.Scripting;

/// <summary>What an interrupt sets and every loop of a cell looks at. Calls of <see cref="Check"/> are woven into cells by <see cref="InterruptRewriter"/>; nobody writes them.</summary>
public static class StopFlag
{
    private static volatile bool s_set;

    /// <summary>Whether the running cell has been told to stop.</summary>
    public static bool IsSet => s_set;

    /// <summary>The running cell's token; what <see cref="CancellationRewriter"/> passes.</summary>
    public static CancellationToken Cancel => CellContext.Current?.Cancel ?? CancellationToken.None;

    /// <exception cref="OperationCanceledException">The cell was interrupted.</exception>
    public static void Check()
    {
        if (s_set) throw new OperationCanceledException("The cell was interrupted.");
    }

    internal static void Set() => s_set = true;

    internal static void Clear() => s_set = false;
}
