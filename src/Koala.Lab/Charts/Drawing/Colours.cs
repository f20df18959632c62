namespace Koala.Lab.Charts.Drawing;

/// <summary>Colours that people with any of the usual kinds of colour blindness can distinguish.</summary>
/// <remarks>
/// They are Okabe and Ito's palette without its yellow and black, in the order of their contrast. The first four have a contrast of at
/// least
/// 3:1 both on white and on a dark page (#1e1e1e).
/// </remarks>
internal static class Colours
{
    public const string Blue = "#0072B2";
    public const string Vermilion = "#D55E00";
    public const string Green = "#009E73";
    public const string Purple = "#CC79A7";
    public const string Orange = "#E69F00";
    public const string Sky = "#56B4E9";

    /// <summary>The colour of what others are compared with. It is readable on white and on a dark page, also as text.</summary>
    public const string Muted = "#7C7C7C";

    private static readonly string[] s_all = [Blue, Vermilion, Green, Purple, Orange, Sky];

    /// <summary>The colour of a series by its index; after the sixth the colours repeat.</summary>
    public static string At(int index) => s_all[index % s_all.Length];
}
