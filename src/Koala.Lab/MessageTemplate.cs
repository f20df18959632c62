using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;

namespace Koala.Lab;

/// <summary>
/// Text that may name options. The options are kept apart from the words around them until it is known who reads: C# code knows
/// <c>maxTokens</c>, the command another spelling. Written as a string or, with <see cref="OptionName"/>, as an interpolated one.
/// </summary>
[InterpolatedStringHandler]
public sealed class MessageTemplate
{
    private readonly StringBuilder _text;                      // without the options
    private readonly List<(int At, string Name)> _options;     // in the order of the text

    /// <summary>For the compiler: an interpolated string begins.</summary>
    /// <param name="literalLength">Characters outside of its holes.</param>
    /// <param name="formattedCount">Its holes.</param>
    public MessageTemplate(int literalLength, int formattedCount)
    {
        _text = new StringBuilder(literalLength);
        _options = new List<(int, string)>(formattedCount);
    }

    /// <summary>A text without options.</summary>
    public static implicit operator MessageTemplate(string text)
    {
        var template = new MessageTemplate(text.Length, 0);
        template.AppendLiteral(text);
        return template;
    }

    /// <summary>The C# names of the options, in the order of the text.</summary>
    public IEnumerable<string> Options => _options.Select(option => option.Name);

    /// <summary>For the compiler: words between holes.</summary>
    public void AppendLiteral(string text) => _text.Append(text);

    /// <summary>For the compiler: a value.</summary>
    public void AppendFormatted<T>(T value, string? format = null) =>
        _text.Append(value is IFormattable formattable ? formattable.ToString(format, null) : value?.ToString());

    /// <summary>For the compiler: an option.</summary>
    public void AppendFormatted(OptionName option) => _options.Add((_text.Length, option.Name));

    /// <summary>For the compiler: another template, with its options.</summary>
    public void AppendFormatted(MessageTemplate other)
    {
        foreach (var (at, name) in other._options) _options.Add((_text.Length + at, name));
        _text.Append(other._text);
    }

    /// <summary>The text with options as C# code writes them: <c>maxTokens</c>, <c>adversary.weight</c>.</summary>
    public override string ToString() => ToString(_ => null);

    /// <summary>The text with options under the names of a front end.</summary>
    /// <param name="nameOf">From the C# name of an option to the front end's; null where the C# name is to be used.</param>
    public string ToString(Func<string, string?> nameOf)
    {
        var text = new StringBuilder();
        var done = 0;
        foreach (var (at, name) in _options)
        {
            text.Append(_text, done, at - done).Append(nameOf(name) ?? InCamelCase(name));
            done = at;
        }
        return text.Append(_text, done, _text.Length - done).ToString();
    }

    private static string InCamelCase(string path) => string.Join('.', path.Split('.').Select(JsonNamingPolicy.CamelCase.ConvertName));
}
