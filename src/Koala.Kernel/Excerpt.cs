namespace Koala.Kernel;

/// <summary>Shortens text of a file or a message, so that an error that quotes it stays one readable line.</summary>
internal static class Excerpt
{
    private const int MaxCharacters = 80;

    public static string Of(string text)
    {
        var start = text.Length <= MaxCharacters ? text : text[..(MaxCharacters - 1)] + "…";
        return string.Concat(start.Select(c => char.IsControl(c) ? ' ' : c));
    }
}
