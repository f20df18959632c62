using System.Text.RegularExpressions;

namespace Koala.Lab.Text.Chat;

/// <summary>
/// The first step of reading a template: white space around blocks and the tags of the assistant's parts are left out.
/// </summary>
/// <remarks>
/// These are the rules of the library's own first step (preprocess in index.js, with lstrip_blocks and trim_blocks),
/// which takes time with the square of the white space and memory with the square of the lines.
/// </remarks>
internal static partial class TemplateSource
{
    /// <summary>
    /// The most characters of a template. The longest that models come with have about 30,000; reading one takes the
    /// library up to 300 bytes per character.
    /// </summary>
    public const int MaxLength = 1 << 17;

    /// <summary>The template as the library reads it on.</summary>
    public static string Prepare(string template)
    {
        var text = template.EndsWith('\n') ? template[..^1] : template;
        return GenerationTag.Replace(LineBreakAfterBlock.Replace(SpaceBeforeBlock.Replace(text, "$1"), "$1"),
            tag => (tag.Groups[2].Length > 0 ? "" : tag.Groups[1].Value) + (tag.Groups[3].Length > 0 ? "" : tag.Groups[4].Value));
    }

    // A line begins after each of JavaScript's line terminators.
    [GeneratedRegex(@"(?<![^\n\r\u2028\u2029])[ \t]*(\{[#%-])")]
    private static partial Regex SpaceBeforeBlock { get; }

    [GeneratedRegex(@"([#%-]\})\n")]
    private static partial Regex LineBreakAfterBlock { get; }

    // A tag may begin with white space, of which only the beginning is tried. JavaScript's white space has U+FEFF and
    // lacks U+0085.
    private const string Space = @"[\f\n\r\t\v\p{Z}\ufeff]";

    [GeneratedRegex($@"((?<!{Space}){Space}+|)\{{%(-?){Space}*(?:end)?generation{Space}*(-?)%\}}({Space}*)")]
    private static partial Regex GenerationTag { get; }
}
