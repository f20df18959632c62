namespace Koala.Kernel.Notebooks;

/// <summary>How a notebook is run.</summary>
public sealed record RunOptions
{
    /// <summary>Values for the variables of the cell tagged <c>parameters</c>. Default none.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Parameters { get; init; } = [];

    /// <summary>Seconds a cell may take; null: as long as it likes.</summary>
    public double? TimeoutSeconds { get; init; }

    /// <summary>Where the notebook is written with its outputs, after every cell; null: nowhere.</summary>
    public string? Output { get; init; }

    /// <summary>Where a page of it is written; null: nowhere.</summary>
    public string? Html { get; init; }
}
