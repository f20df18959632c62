namespace Koala.Lab.Runtime;

/// <summary>
/// The interrupt of a notebook's cell. Training, decoding and measurements that are given no token of their own end by it.
/// </summary>
/// <remarks>
/// The package Koala.Lab.Interactive sets it, because .NET Interactive does not pass its token to the calls of a cell. A cell whose call
/// ends with an <see cref="OperationCanceledException"/> keeps its variables there; one that is only left behind loses them.
/// </remarks>
public static class CellInterrupt
{
    private static readonly AsyncLocal<CancellationToken> s_token = new();

    /// <summary>The token of the cell that runs; it belongs to the flow of execution that sets it.</summary>
    public static CancellationToken Token
    {
        get => s_token.Value;
        set => s_token.Value = value;
    }

    /// <summary>The token that a call follows: its own, or that of the cell if it was given none.</summary>
    internal static CancellationToken Or(CancellationToken own) => own.CanBeCanceled ? own : Token;
}
