using System.Globalization;
using System.Text;

namespace Koala.Lab.Charts.Drawing;

/// <summary>Draws a plot as a small SVG for places that run no scripts.</summary>
internal sealed class SvgPicture
{
    private const double Width = 640;
    private const string Faint = "stroke=\"currentColor\" stroke-opacity=\".18\"";
    private readonly Plot _plot;
    private readonly SvgText _svg = new();
    private readonly double _height;
    private readonly double _spacing;
    private readonly Ticks _values;
    private readonly (double Low, double High) _keys;
    private double _left;
    private double _top;
    private double _right;
    private double _bottom;

    private SvgPicture(Plot plot)
    {
        _plot = plot;
        _spacing = Spacing(plot);
        _values = ValueTicks(plot);
        _keys = KeyRange();
        _height = plot.Horizontal ? 150 + 34 * plot.Keys.Names!.Count : 360;
    }

    public static string Draw(Plot plot)
    {
        var picture = new SvgPicture(plot);
        picture.Title();
        if (plot.Missing is { } missing)
            picture._svg.Text(Width / 2, picture._height / 2 + 10, missing, "middle", " font-style=\"italic\"");
        else picture.Draw();
        return picture._svg.Finish(Width, picture._height, plot.Title);
    }

    private void Draw()
    {
        Frame();
        if (_plot.Horizontal) NamesDown();
        else KeysAcross();
        ValueAxis();
        var bars = _plot.Series.Where(s => s.Mark == Mark.Bar).ToArray();
        for (var i = 0; i < bars.Length; i++) Bars(bars, i);
        foreach (var series in _plot.Series.Where(s => s.Mark != Mark.Bar)) LineOrPoints(series);
        foreach (var rule in _plot.Rules) RuleAt(rule);
    }

    private void Title()
    {
        _svg.Text(8, 20, _plot.Title, more: " font-size=\"15\" font-weight=\"600\"");
        _top = 34;
        if (_plot.Series.Count < 2) return;
        var x = 8.0;
        foreach (var series in _plot.Series)
        {
            var width = 26 + SvgText.WidthOf(series.Name) + 14;
            if (x > 8 && x + width > Width) (x, _top) = (8, _top + 18);
            if (series.Mark == Mark.Bar) _svg.Rectangle(x, _top - 1, 16, 10, series.Colour);
            if (series.Mark is Mark.Line or Mark.LineAndPoint) _svg.Line(x, _top + 4, x + 18, _top + 4, Stroke(series));
            if (series.Mark is Mark.Point or Mark.LineAndPoint) _svg.Dot(x + 9, _top + 4, series.Colour);
            _svg.Text(x + 24, _top + 8, series.Name);
            x += width;
        }
        _top += 18;
    }

    /// <summary>Sets the frame of the axes, which leaves room for their labels.</summary>
    private void Frame()
    {
        var labels = _plot.Horizontal
            ? _plot.Keys.Names!.Max(n => SvgText.WidthOf(Shortened(n)))
            : _values.Values.Max(v => SvgText.WidthOf(_values.Text(v)));
        _left = _plot.Horizontal ? 16 + labels : 34 + labels;
        _right = Width - (_plot.Horizontal || _plot.Rules.Count == 0 ? 18 : 12 + _plot.Rules.Max(r => SvgText.WidthOf(r.Label)));
        _top += _plot.Horizontal ? 22 : 10;
        _bottom = _height - 44;
    }

    private void KeysAcross()
    {
        var ticks = _plot.Keys.Names is { } names
            ? Enumerable.Range(0, names.Count).Select(i => ((double)i, names[i]))
            : WholeTicks().Select(v => (v, v.ToString("0.###", CultureInfo.InvariantCulture)));
        foreach (var (key, text) in ticks) _svg.Text(AtKey(key), _bottom + 16, text, "middle");
        _svg.Text((_left + _right) / 2, _height - 8, _plot.Keys.Title, "middle");
    }

    private IEnumerable<double> WholeTicks() => Ticks.Whole(_keys.Low, _keys.High, 8).Values.Where(v => v >= 0);

    private void NamesDown()
    {
        foreach (var (i, name) in _plot.Keys.Names!.Index()) _svg.Text(_left - 8, AtKey(i) + 4, Shortened(name), "end");
    }

    private void ValueAxis()
    {
        foreach (var value in _values.Values)
        {
            var position = AtValue(value);
            if (_plot.Horizontal)
            {
                _svg.Line(position, _top, position, _bottom, Faint);
                _svg.Text(position, _bottom + 16, _values.Text(value), "middle");
            }
            else
            {
                _svg.Line(_left, position, _right, position, Faint);
                _svg.Text(_left - 6, position + 4, _values.Text(value), "end");
            }
        }
        if (_plot.Horizontal)
        {
            _svg.Text((_left + _right) / 2, _height - 8, _plot.Values.Title, "middle");
            return;
        }
        var rotated = Invariant($" transform=\"translate(16 {(_top + _bottom) / 2:0.#}) rotate(-90)\"");
        _svg.Text(0, 0, _plot.Values.Title, "middle", rotated);
    }

    private void Bars(Series[] all, int index)
    {
        var band = _spacing * 0.8;
        var width = _plot.Stacked ? band : band / all.Length;
        var path = new StringBuilder();
        foreach (var point in all[index].Points.Where(p => double.IsFinite(p.Value)))
        {
            var foot = _plot.Stacked ? all[..index].Sum(s => s.Points.FirstOrDefault(p => p.Key == point.Key).Value) : 0;
            var from = AtKey(point.Key - band / 2 + (_plot.Stacked ? 0 : index * width));
            var to = AtKey(point.Key - band / 2 + (_plot.Stacked ? 0 : index * width) + width);
            var (start, end) = (AtValue(foot), AtValue(foot + point.Value));
            path.Append(_plot.Horizontal
                ? Invariant($"M{start:0.#} {from:0.#}H{end:0.#}V{to:0.#}H{start:0.#}z")
                : Invariant($"M{from:0.#} {start:0.#}V{end:0.#}H{to:0.#}V{start:0.#}z"));
        }
        _svg.Path(path.ToString(), $"fill=\"{all[index].Colour}\"");
        foreach (var point in all[index].Points) Interval(point, point.Key - band / 2 + (index + 0.5) * width, "currentColor");
    }

    private void LineOrPoints(Series series)
    {
        if (series.Mark is Mark.Line or Mark.LineAndPoint)
        {
            var path = new StringBuilder();
            var pen = 'M';
            foreach (var point in series.Points)
            {
                // The line has a gap where there is no value.
                if (double.IsFinite(point.Value)) path.Append(Invariant($"{pen}{AtKey(point.Key):0.#} {AtValue(point.Value):0.#}"));
                pen = double.IsFinite(point.Value) ? 'L' : 'M';
            }
            _svg.Path(path.ToString(), $"fill=\"none\" {Stroke(series)} stroke-linejoin=\"round\"");
        }
        foreach (var point in series.Points.Where(p => double.IsFinite(p.Value)))
        {
            Interval(point, point.Key, series.Colour);
            if (series.Mark is Mark.Line && series.Points.Count > 1) continue;
            if (_plot.Horizontal) _svg.Dot(AtValue(point.Value), AtKey(point.Key), series.Colour);
            else _svg.Dot(AtKey(point.Key), AtValue(point.Value), series.Colour);
        }
    }

    private void Interval(Point point, double key, string colour)
    {
        if (!point.HasInterval) return;
        var (low, high, position) = (AtValue(point.Low), AtValue(point.High), AtKey(key));
        var side = position - 5;
        var path = _plot.Horizontal
            ? Invariant($"M{low:0.#} {position:0.#}H{high:0.#}M{low:0.#} {side:0.#}v10M{high:0.#} {side:0.#}v10")
            : Invariant($"M{position:0.#} {low:0.#}V{high:0.#}M{side:0.#} {low:0.#}h10M{side:0.#} {high:0.#}h10");
        _svg.Path(path, $"stroke=\"{colour}\" stroke-width=\"2\" fill=\"none\"");
    }

    private void RuleAt(Rule rule)
    {
        var position = AtValue(rule.Value);
        const string Style = $"stroke=\"{Colours.Muted}\" stroke-width=\"1.5\" stroke-dasharray=\"6 4\"";
        if (_plot.Horizontal)
        {
            _svg.Line(position, _top, position, _bottom, Style);
            // The label is at the end of the line, but must not extend beyond the picture.
            var beyond = position + SvgText.WidthOf(rule.Label) / 2 > Width;
            _svg.Text(beyond ? _right + 10 : position, _top - 6, rule.Label, beyond ? "end" : "middle");
        }
        else
        {
            _svg.Line(_left, position, _right, position, Style);
            _svg.Text(_right + 6, position + 4, rule.Label);
        }
    }

    private double AtKey(double key)
    {
        var share = (key - _keys.Low) / (_keys.High - _keys.Low);
        return _plot.Horizontal ? _top + share * (_bottom - _top) : _left + share * (_right - _left);
    }

    private double AtValue(double value)
    {
        var share = (value - _values.Low) / (_values.High - _values.Low);
        return _plot.Horizontal ? _left + share * (_right - _left) : _bottom - share * (_bottom - _top);
    }

    private (double, double) KeyRange()
    {
        if (_plot.Keys.Names is { } names) return (-0.5, names.Count - 0.5);
        var keys = _plot.Series.SelectMany(s => s.Points).Select(p => p.Key).DefaultIfEmpty(0).ToArray();
        var room = _plot.Series.All(s => s.Mark == Mark.Line) && keys.Min() < keys.Max() ? 0 : _spacing / 2;
        return (keys.Min() - room, keys.Max() + room);
    }

    private static double Spacing(Plot plot)
    {
        var keys = plot.Series.SelectMany(s => s.Points).Select(p => p.Key).Distinct().Order().ToArray();
        return keys.Length < 2 ? 1 : keys.Zip(keys.Skip(1), (a, b) => b - a).Min();
    }

    private static Ticks ValueTicks(Plot plot)
    {
        if (plot.Values.High is { } high) return Ticks.Between(0, high);
        var points = plot.Series.SelectMany(s => s.Points);
        var ends = plot.Stacked
            ? points.GroupBy(p => p.Key).Select(g => g.Sum(p => p.Value))
            : points.SelectMany(p => new[] { p.Value, p.Low, p.High });
        var endsAndRules = ends.Concat(plot.Rules.Select(r => r.Value));
        var finite = endsAndRules.Where(double.IsFinite).DefaultIfEmpty(0).ToArray();
        return Ticks.Around(plot.Values.FromZero ? 0 : finite.Min(), finite.Max());
    }

    private static string Stroke(Series series) =>
        $"stroke=\"{series.Colour}\" stroke-width=\"2\"{(series.Dashed ? " stroke-dasharray=\"6 4\"" : "")}";

    private static string Shortened(string name) => name.Length <= 44 ? name : $"{name[..21]}…{name[^22..]}";

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
