using Koala.Lab.Decoding;
using Spectre.Console;

namespace Koala.Cli.Output;

/// <summary>How a terminal shows where a token came from.</summary>
internal static class TokenStyle
{
    // Okabe's and Ito's blue and orange, as in notebooks, each with the letters that are legible on it in light and dark terminals.
    private static readonly Style s_accepted = new(new Color(255, 255, 255), new Color(0, 114, 178));
    private static readonly Style s_bonus = new(new Color(0, 0, 0), new Color(230, 159, 0));
    private static readonly Style s_prefill = new(decoration: Decoration.Underline);

    public static Style Of(TokenOrigin origin) => origin switch
    {
        TokenOrigin.Accepted => s_accepted,
        TokenOrigin.Bonus => s_bonus,
        _ => s_prefill,
    };

    /// <summary>Whether the console shows colours: it is a terminal that has them, and NO_COLOR is not set.</summary>
    public static bool ShownBy(IAnsiConsole console) =>
        console.Profile.Out.IsTerminal && console.Profile.Capabilities is { Ansi: true, ColorSystem: not ColorSystem.NoColors };

    /// <summary>What the colours mean.</summary>
    public static Paragraph Legend => new Paragraph()
        .Append("accepted tokens", s_accepted).Append(" ").Append("bonus tokens", s_bonus).Append(" ").Append("first token", s_prefill);
}
