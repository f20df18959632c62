using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;

namespace Koala.Lab;

/// <summary>
/// Text that may name options. The options are kept apart from the words around them until the reader is known: C# code calls an
/// option <c>maxTokens</c>, and the command spells it differently. A template is written as a string or, with
/// <see cref="OptionName"/>, as an interpolated string.
/// </summary>
[InterpolatedStringHandler]
public sealed class MessageTemplate
{
    private readonly StringBuilder _text;                      // without the options
    private readonly List<(int Index, string Name)> _options;  // in the order of the text

    /// <summary>The compiler calls this for the beginning of an interpolated string.</summary>
    /// <param name="literalLength">The number of characters outside of its holes.</param>
    /// <param name="formattedCount">The number of its holes.</param>
    public MessageTemplate(int literalLength, int formattedCount)
    {
        _text = new StringBuilder(literalLength);
        _options = new List<(int, string)>(formattedCount);
    }

    /// <summary>Converts a text without options.</summary>
    public static implicit operator MessageTemplate(string text)
    {
        var template = new MessageTemplate(text.Length, 0);
        template.AppendLiteral(text);
        return template;
    }

    /// <summary>The C# names of the options, in the order of the text.</summary>
    public IEnumerable<string> Options => _options.Select(option => option.Name);

    /// <summary>The compiler calls this for the text between holes.</summary>
    public void AppendLiteral(string text) => _text.Append(text);

    /// <summary>The compiler calls this for a value.</summary>
    public void AppendFormatted<T>(T value, string? format = null) =>
        _text.Append(value is IFormattable formattable ? formattable.ToString(format, null) : value?.ToString());

    /// <summary>The compiler calls this for an option.</summary>
    public void AppendFormatted(OptionName option) => _options.Add((_text.Length, option.Name));

    /// <summary>The compiler calls this for another template, whose options are kept.</summary>
    public void AppendFormatted(MessageTemplate other)
    {
        foreach (var (index, name) in other._options) _options.Add((_text.Length + index, name));
        _text.Append(other._text);
    }

    /// <summary>Returns the text with options as C# code writes them: <c>maxTokens</c>, <c>adversary.weight</c>.</summary>
    public override string ToString() => ToString(_ => null);

    /// <summary>Returns the text with options under the names of a front end.</summary>
    /// <param name="nameOf">
    /// Maps the C# name of an option to the front end's name. It returns null where the text should have the C# name.
    /// </param>
    public string ToString(Func<string, string?> nameOf)
    {
        var text = new StringBuilder();
        var copied = 0;
        foreach (var (index, name) in _options)
        {
            text.Append(_text, copied, index - copied).Append(nameOf(name) ?? InCamelCase(name));
            copied = index;
        }
        return text.Append(_text, copied, _text.Length - copied).ToString();
    }

    private static string InCamelCase(string path) =>
        string.Join('.', path.Split('.').Select(JsonNamingPolicy.CamelCase.ConvertName));
}
