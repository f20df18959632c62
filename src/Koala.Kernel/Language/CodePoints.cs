namespace Koala.Kernel.Language;

/// <summary>Jupyter counts characters as code points, .NET as UTF-16 units.</summary>
internal static class CodePoints
{
    /// <summary>The index into <paramref name="text"/> of the given code point.</summary>
    public static int ToIndex(string text, int codePoints)
    {
        var index = 0;
        for (; codePoints > 0 && index < text.Length; codePoints--) index += char.IsSurrogatePair(text, index) ? 2 : 1;
        return index;
    }

    /// <summary>How many code points stand before an index.</summary>
    public static int FromIndex(string text, int index)
    {
        var count = 0;
        for (var i = 0; i < index; count++) i += char.IsSurrogatePair(text, i) ? 2 : 1;
        return count;
    }
}
