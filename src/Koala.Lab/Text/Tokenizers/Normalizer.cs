using System.Globalization;
using System.Text;
using ADRaffy.ENSNormalize;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>What is done to a text before it is cut into pieces.</summary>
/// <param name="steps">The steps in order, each of which gets the text of the one before it, and where the text stands.</param>
internal sealed class Normalizer(IReadOnlyList<Func<string, TextPosition, string>> steps)
{
    /// <summary>The normalizer that leaves every text as it is.</summary>
    public static Normalizer None { get; } = new([]);

    /// <summary>The normalizer that only composes.</summary>
    public static Normalizer Composing { get; } = Of([Compose]);

    /// <summary>The normalizer of steps that do the same wherever a text stands.</summary>
    public static Normalizer Of(IEnumerable<Func<string, string>> steps) =>
        new([.. steps.Select<Func<string, string>, Func<string, TextPosition, string>>(step => (text, _) => step(text))]);

    /// <summary>The normalized text.</summary>
    public string Apply(string text, TextPosition position) => steps.Aggregate(text, (result, step) => step(result, position));

    /// <summary>Unicode's form NFC.</summary>
    /// <remarks>No character below U+0300 combines with another, and most texts have only such characters.</remarks>
    public static string Compose(string text) =>
        text.AsSpan().IndexOfAnyExceptInRange('\0', '\u02ff') < 0 ? text : ENSNormalize.NF.NFC(text);

    /// <summary>Unicode's form NFD.</summary>
    public static string Decompose(string text) => Ascii.IsValid(text) ? text : ENSNormalize.NF.NFD(text);

    /// <summary>Unicode's full mapping to lower case, character by character.</summary>
    /// <remarks>It differs from .NET's simple mapping at U+0130 only.</remarks>
    public static string Lower(string text) =>
        CultureInfo.InvariantCulture.TextInfo.ToLower(text.Replace("\u0130", "i\u0307", StringComparison.Ordinal));
}
