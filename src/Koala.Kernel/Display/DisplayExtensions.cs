using Koala.Kernel.Display;
using Microsoft.DotNet.Interactive.Formatting;
using Microsoft.DotNet.Interactive.Formatting.TabularData;

namespace System;

/// <summary>Shows values from within a cell; the names are those of .NET Interactive.</summary>
/// <remarks>
/// There are two classes of this name. Cells see this one; Scripting/DisplayExtensionsOfFormatting.cs says why.
/// </remarks>
public static class DisplayExtensions
{
    /// <summary>Shows a value.</summary>
    /// <param name="value">Any value, including null.</param>
    /// <param name="mimeTypes">
    /// The MIME types to show; if there are none, those that the type of the value prefers.
    /// </param>
    /// <returns>A handle whose <c>Update</c> shows another value in its place.</returns>
    public static DisplayedValue Display(this object? value, params string[] mimeTypes) =>
        Displays.Value(value, mimeTypes);

    /// <summary>Shows text as content of a MIME type.</summary>
    /// <returns>A handle whose <c>Update</c> shows another value in its place.</returns>
    public static DisplayedValue DisplayAs(this string value, string mimeType) =>
        Displays.Content(mimeType, value);

    /// <summary>Shows a sequence as a table.</summary>
    /// <returns>A handle whose <c>Update</c> shows another value in its place.</returns>
    public static DisplayedValue DisplayTable<T>(this IEnumerable<T> value, params string[] mimeTypes) =>
        Displays.Value(value.ToTabularDataResource(), mimeTypes);
}
