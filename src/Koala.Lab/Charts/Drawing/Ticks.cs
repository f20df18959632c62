using System.Globalization;

namespace Koala.Lab.Charts.Drawing;

/// <summary>The ticks of an axis at round numbers, with steps of 1, 2 or 5 times a power of ten.</summary>
/// <param name="Low">The start of the axis.</param>
/// <param name="High">The end of the axis.</param>
/// <param name="Step">The distance from tick to tick.</param>
internal readonly record struct Ticks(double Low, double High, double Step)
{
    /// <summary>An axis that contains all values and ends on ticks.</summary>
    public static Ticks Around(double low, double high, int count = 5)
    {
        if (!(high > low)) (low, high) = (low - 0.5, low + 0.5);
        var step = RoundStep((high - low) / count);
        return new Ticks(Math.Floor(low / step + 1e-9) * step, Math.Ceiling(high / step - 1e-9) * step, step);
    }

    /// <summary>An axis with these ends.</summary>
    public static Ticks Between(double low, double high, int count = 5) => new(low, high, RoundStep((high - low) / count));

    /// <summary>An axis with ticks at whole numbers only: its steps are at least 1.</summary>
    public static Ticks Whole(double low, double high, int count) => new(low, high, Math.Max(1, RoundStep((high - low) / count)));

    /// <summary>The ticks in ascending order.</summary>
    public IEnumerable<double> Values
    {
        get
        {
            for (var i = (long)Math.Ceiling(Low / Step - 1e-9); i * Step <= High + Step * 1e-9; i++) yield return i * Step;
        }
    }

    /// <summary>The number at a tick, with as many digits as the step needs.</summary>
    public string Text(double value)
    {
        var digits = Math.Clamp((int)Math.Ceiling(-Math.Log10(Step) - 1e-9), 0, 8);
        return value.ToString(Math.Abs(value) >= 1e5 ? "0.##e0" : $"F{digits}", CultureInfo.InvariantCulture);
    }

    private static double RoundStep(double raw)
    {
        var power = Math.Pow(10, Math.Floor(Math.Log10(raw)));
        return power * (raw / power) switch { <= 1 => 1, <= 2 => 2, <= 5 => 5, _ => 10 };
    }
}
