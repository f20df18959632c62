using System.Globalization;
using Koala.Lab.Decoding;
using Koala.Lab.Text.Tokenizers;
using Spectre.Console;

namespace Koala.Cli.Output;

/// <summary>
/// The two answers of <c>koala demo</c>. A terminal shows them side by side as they came, slowed down so that the eye can follow; a file
/// gets them one after the other, with accepted tokens in brackets.
/// </summary>
internal static class DemoScreen
{
    private const int Frame = 50;   // milliseconds

    // Columns that are narrower break nearly every line.
    private const int Narrowest = 60;
    private const int Gap = 4;

    public static void Show(Streams streams, Race race, Tokenizer tokenizer, CancellationToken cancel)
    {
        var console = streams.ConsoleOf(streams.Output);
        var colours = TokenStyle.ShownBy(console);
        var (alone, with) = (new Column(race.Alone, tokenizer, colours: false), new Column(race.WithHead, tokenizer, colours));
        if (console.Profile.Out.IsTerminal && console.Profile.Width >= Narrowest)
        {
            var width = (console.Profile.Width - Gap) / 2;
            alone.Wrap(width);
            with.Wrap(width);
            ShowLive(console, alone, with, width, streams.Shown, cancel);
        }
        else
        {
            WriteText(streams.Output, "The target alone:", alone);
            streams.Output.WriteLine();
            WriteText(streams.Output, "With the head; accepted tokens are in [brackets]:", with);
        }
    }

    private static void WriteText(TextWriter output, string heading, Column column)
    {
        output.WriteLine(heading);
        output.WriteLine(column.Text);
    }

    private static void ShowLive(IAnsiConsole console, Column alone, Column with, int width, TimeSpan shown, CancellationToken cancel)
    {
        var slowness = Math.Max(1, shown.TotalSeconds / alone.Seconds);
        console.Live(Text.Empty).Overflow(VerticalOverflow.Crop).Start(live =>
        {
            var start = TimeProvider.System.GetTimestamp();
            while (true)
            {
                var second = TimeProvider.System.GetElapsedTime(start).TotalSeconds / slowness;
                live.UpdateTarget(Screen(alone, with, width, second));
                if (second >= alone.Seconds && second >= with.Seconds) break;
                if (cancel.WaitHandle.WaitOne(Frame)) cancel.ThrowIfCancellationRequested();
            }
        });
        console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"Both answers as they came, shown {slowness:F0} times slower."));
    }

    private static Grid Screen(Column alone, Column with, int width, double second)
    {
        var grid = new Grid { Expand = false };
        grid.AddColumn(new GridColumn { Width = width, Padding = new Padding(0, 0, Gap, 0) });
        grid.AddColumn(new GridColumn { Width = width, Padding = new Padding(0) });
        grid.AddRow(new Text("target alone", new Style(decoration: Decoration.Bold)), with.Heading);
        grid.AddRow(alone.At(second), with.At(second));
        return grid;
    }

    /// <summary>One answer, piece by piece.</summary>
    private sealed class Column
    {
        private readonly bool _colours;
        private readonly List<(double Second, string Text, Style Style)> _pieces = [];

        public Column(TimedAnswer timed, Tokenizer tokenizer, bool colours)
        {
            _colours = colours;
            Seconds = timed.Chunks[^1].Second;
            var pieces = new AnswerPieces(tokenizer);
            foreach (var (second, chunk) in timed.Chunks)
                foreach (var piece in pieces.Append(chunk).Where(piece => !piece.Special))
                    _pieces.Add(colours ? (second, piece.Text, TokenStyle.Of(piece.Origin)) : (second, Marked(piece), Style.Plain));
        }

        /// <summary>When the last piece came.</summary>
        public double Seconds { get; }

        public string Text => string.Concat(_pieces.Select(piece => piece.Text));

        public Paragraph Heading => _colours
            ? new Paragraph().Append("with the head: ", new Style(decoration: Decoration.Bold))
                .Append("accepted", TokenStyle.Of(TokenOrigin.Accepted)).Append(" ").Append("bonus", TokenStyle.Of(TokenOrigin.Bonus))
            : new Paragraph("with the head: [accepted] and bonus");

        public Paragraph At(double second)
        {
            var text = new Paragraph();
            foreach (var piece in _pieces.TakeWhile(piece => piece.Second <= second)) text.Append(piece.Text, piece.Style);
            return text;
        }

        /// <summary>
        /// Breaks the lines at spaces. A paragraph would also break them between two pieces, which may be parts of one word.
        /// </summary>
        public void Wrap(int width)
        {
            var text = Text.ToCharArray();
            for (var start = 0; start + width < text.Length;)
            {
                var line = text.AsSpan(start, width + 1);
                var end = line.IndexOf('\n');
                if (end < 0) end = line.LastIndexOf(' ');
                if (end >= 0) text[start + end] = '\n';
                start += end >= 0 ? end + 1 : width;   // the terminal breaks a word that is wider than the column
            }
            var position = 0;
            for (var i = 0; i < _pieces.Count; i++)
            {
                var length = _pieces[i].Text.Length;
                _pieces[i] = _pieces[i] with { Text = new string(text, position, length) };
                position += length;
            }
        }

        private static string Marked(AnswerPiece piece) => piece.Origin == TokenOrigin.Accepted ? $"[{piece.Text}]" : piece.Text;
    }
}
