namespace Koala.Lab.Runtime;

/// <summary>
/// Marks a type that displays itself in notebooks. .NET kernels look for an attribute of this name with these properties, so Koala
/// needs no reference to a kernel.
/// </summary>
/// <remarks>
/// This is the only code above the room Charts that knows where displays are made. It knows that type by name, so that no room
/// depends on Charts. In a build without Charts there is no such type, and kernels display the marked type like any other.
/// </remarks>
/// <param name="preferredMimeTypes">The MIME types that a kernel puts into an output, the richest first.</param>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class TypeFormatterSourceAttribute(params string[] preferredMimeTypes) : Attribute
{
    /// <summary>A type with a method <c>CreateTypeFormatters()</c>; null in a build without Charts.</summary>
    public Type? FormatterSourceType { get; } =
        typeof(TypeFormatterSourceAttribute).Assembly.GetType("Koala.Lab.Charts.FormatterSource");

    /// <summary>The MIME types that a kernel puts into an output. Default HTML and plain text.</summary>
    public string[] PreferredMimeTypes { get; } =
        preferredMimeTypes.Length > 0 ? preferredMimeTypes : ["text/html", "text/plain"];
}
