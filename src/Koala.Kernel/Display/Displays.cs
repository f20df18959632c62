using Microsoft.DotNet.Interactive.Formatting;

namespace Koala.Kernel.Display;

/// <summary>Shows values as output of the calling cell.</summary>
internal static class Displays
{
    public static DisplayedValue Value(object? value, string[] mimeTypes) =>
        Show(CellContext.Current, new DisplayedValue(value, MimeBundle.Format(value, mimeTypes)));

    public static DisplayedValue Content(string mimeType, string content) =>
        Show(CellContext.Current, new DisplayedValue(content, [new FormattedValue(mimeType, content)]));

    public static DisplayedValue Show(CellContext? cell, DisplayedValue displayed)
    {
        cell?.Output.Display(MimeBundle.From(displayed.FormattedValues), displayed.DisplayId);
        return displayed;
    }
}
