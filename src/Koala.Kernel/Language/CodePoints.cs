namespace Koala.Kernel.Language;

/// <summary>Converts positions in text: Jupyter counts code points, and .NET counts UTF-16 units.</summary>
internal static class CodePoints
{
    /// <summary>The index in <paramref name="text"/> that comes after the given number of code points.</summary>
    public static int ToIndex(string text, int codePoints)
    {
        var index = 0;
        for (; codePoints > 0 && index < text.Length; codePoints--) index += char.IsSurrogatePair(text, index) ? 2 : 1;
        return index;
    }

    /// <summary>The number of code points before an index.</summary>
    public static int FromIndex(string text, int index)
    {
        var count = 0;
        for (var i = 0; i < index; count++) i += char.IsSurrogatePair(text, i) ? 2 : 1;
        return count;
    }
}
