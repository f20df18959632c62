namespace Koala.Lab.Runtime;

/// <summary>Marks a type that shows itself in notebooks. .NET kernels look for an attribute of this name with these properties, so no kernel needs to be referred to.</summary>
/// <remarks>
/// The one place above the room Charts that knows where views are made, by name, so that no room depends on it; a build without
/// that room has no such type, and kernels then show the type as they show any other.
/// </remarks>
/// <param name="preferredMimeTypes">What a kernel puts into an output, the richest first.</param>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class TypeFormatterSourceAttribute(params string[] preferredMimeTypes) : Attribute
{
    /// <summary>A type with a method <c>CreateTypeFormatters()</c>; null in a build without charts.</summary>
    public Type? FormatterSourceType { get; } = typeof(TypeFormatterSourceAttribute).Assembly.GetType("Koala.Lab.Charts.FormatterSource");

    /// <summary>By default HTML and plain text.</summary>
    public string[] PreferredMimeTypes { get; } = preferredMimeTypes.Length > 0 ? preferredMimeTypes : ["text/html", "text/plain"];
}
