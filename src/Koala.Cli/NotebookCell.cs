namespace Koala.Cli;

/// <summary>The cell of a notebook that runs a command: it shows the progress, and takes the result as an object.</summary>
/// <param name="showProgress">Shows the progress in place of what it showed before; null removes it.</param>
internal sealed class NotebookCell(Action<string?> showProgress)
{
    /// <summary>The result of the command; null if it has none.</summary>
    public object? Value { get; private set; }

    /// <summary>Whether the command has printed its result, so that showing the value would repeat it.</summary>
    public bool IsPrinted { get; private set; }

    public void ShowProgress(string? text) => showProgress(text);

    public void SetValue(object value, bool isPrinted) => (Value, IsPrinted) = (value, isPrinted);
}
