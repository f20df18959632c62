using Koala.Kernel.Display;
using Microsoft.AspNetCore.Html;
using Microsoft.DotNet.Interactive.Formatting;

namespace Microsoft.DotNet.Interactive;

/// <summary>
/// The functions that cells call without a prefix (<c>using static</c>). Their names are those of .NET Interactive, so
/// that a notebook runs in both.
/// </summary>
public static class Kernel
{
#pragma warning disable IDE1006, CA1707 // The names are those of .NET Interactive.
    /// <summary>Shows a value.</summary>
    /// <returns>A handle whose <c>Update</c> shows another value in its place.</returns>
    public static DisplayedValue display(object? value, params string[] mimeTypes) => Displays.Value(value, mimeTypes);

    /// <summary>Creates a value that is shown as HTML.</summary>
    public static IHtmlContent HTML(string content) => new HtmlString(content);
#pragma warning restore IDE1006, CA1707

    /// <summary>Runs a script in the page, if the front end allows it.</summary>
    public static void Javascript(string scriptContent) =>
        Displays.Content(MimeBundle.Html, $"<script type=\"text/javascript\">{scriptContent}</script>");

    /// <summary>Adds a style sheet to the page.</summary>
    public static void CSS(string content) => Displays.Content(MimeBundle.Html, $"<style>{content}</style>");
}

/// <summary>The running cell, for code that needs to know when the cell is interrupted.</summary>
public sealed class KernelInvocationContext
{
    private readonly CellContext _cell;

    private KernelInvocationContext(CellContext cell) => _cell = cell;

    /// <summary>The context of the calling code; null outside a cell.</summary>
    public static KernelInvocationContext? Current => CellContext.Current is { } cell ? new KernelInvocationContext(cell) : null;

    /// <summary>A token that is cancelled when the cell is interrupted.</summary>
    public CancellationToken CancellationToken => _cell.Cancel;

    /// <summary>Shows a value as output of this cell.</summary>
    public DisplayedValue Display(object? value, params string[] mimeTypes) =>
        Displays.Show(_cell, new DisplayedValue(value, MimeBundle.Format(value, mimeTypes)));

    /// <summary>Removes the output that the cell has shown so far. .NET Interactive has no such method.</summary>
    /// <param name="wait">Whether to wait until the next output comes, so that nothing flickers.</param>
    public void ClearOutput(bool wait = false) => _cell.Output.Clear(wait);
}
