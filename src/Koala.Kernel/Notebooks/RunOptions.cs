namespace Koala.Kernel.Notebooks;

/// <summary>The options of running a notebook.</summary>
public sealed record RunOptions
{
    /// <summary>Values for the variables of the cell tagged <c>parameters</c>. The default is none.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Parameters { get; init; } = [];

    /// <summary>The number of seconds that a cell may take; null for no limit.</summary>
    public double? TimeoutSeconds { get; init; }

    /// <summary>The file to which the notebook and its outputs are written after every cell; null for none.</summary>
    public string? Output { get; init; }

    /// <summary>The file to which the notebook is written as an HTML page after every cell; null for none.</summary>
    public string? Html { get; init; }

    /// <summary>
    /// Whether the page keeps HTML and all links of Markdown, and HTML outputs of cells that did not run. The default is false.
    /// </summary>
    public bool Trust { get; init; }
}
