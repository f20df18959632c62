using System.Globalization;
using System.Text.RegularExpressions;
using Koala.Cli.Output;
using Spectre.Console;

namespace Koala.Lab.Tests.Cli;

/// <summary>The demonstration: one answer, without a head and with one.</summary>
public sealed partial class DemoTests
{
    [Fact]
    public void It_shows_both_answers_their_speeds_and_what_to_do_next()
    {
        var lines = CommandRun.Of("demo").AssertDone().Output.Split('\n');
        var alone = Text(lines, "The target alone:");
        var with = Text(lines, "With the head; accepted tokens are in [brackets]:");
        Assert.Equal(alone, Bracket().Replace(with, ""));
        var json = CommandRun.Of("generate", "--target", ShippedModels.Folder("koala-mini"), "--prompt", "Why is the sky blue?",
            "--max-tokens", "120", "--json").AssertDone().Json;
        Assert.Equal(json.GetProperty("text").GetString(), alone);

        var (slow, fast) = (Figures(lines, "target alone"), Figures(lines, "with the head"));
        Assert.Equal([119, 1], slow[1..]);   // the first token needs no round
        Assert.InRange(fast[1], 119 / 11.0, 118);
        Assert.InRange(fast[2], (119 / fast[1]) - 0.01, 11);   // it is rounded
        var times = double.Parse(Times().Match(string.Join('\n', lines)).Groups[1].Value, CultureInfo.InvariantCulture);
        Assert.Equal(fast[0] / slow[0], times, 0.02);
        Assert.Contains("The two texts are equal: checked over all 120 tokens.", lines);
        // Three lines that can be typed, of which the first shows the colours of any answer.
        var next = lines.Where(line => line.Contains("koala ", StringComparison.Ordinal) && line.Contains(": ", StringComparison.Ordinal))
            .Where(line => line.Contains("checkpoints", StringComparison.Ordinal) || line.Contains(".ipynb", StringComparison.Ordinal));
        Assert.Equal(3, next.Count());
    }

    [Theory, InlineData(80), InlineData(140)]
    public void A_terminal_shows_them_side_by_side_in_colours_and_no_line_is_too_wide(int width)
    {
        var output = CommandRun.InTerminal(width, ColorSystemSupport.TrueColor, "demo", "--prompt", "Name a colour.").AssertDone().Output;
        Assert.Contains("48;2;0;114;178m", output, StringComparison.Ordinal);
        Assert.Contains("48;2;230;159;0m", output, StringComparison.Ordinal);
        Assert.Contains("Both answers as they came, shown ", output, StringComparison.Ordinal);
        // Each picture is drawn over the one before it.
        var shown = Ansi().Replace(output, "").Split('\n').Select(line => line[(line.LastIndexOf('\r') + 1)..]).ToArray();
        var heading = Array.FindLastIndex(shown, line => line.StartsWith("target alone", StringComparison.Ordinal)
            && line.Contains("with the head: accepted bonus", StringComparison.Ordinal));
        Assert.NotEqual(-1, heading);
        var text = shown[(heading + 1)..].TakeWhile(line => !line.StartsWith("Both answers", StringComparison.Ordinal)).ToArray();
        Assert.All(text, line => Assert.InRange(line.Length, 0, width));
        // Both columns break their lines at the same words.
        var column = (width - 4) / 2;
        Assert.All(text, line => Assert.Equal(line[..column].Trim(), line[(column + 4)..].Trim()));
        // What follows is not too wide either, and each of its three commands is whole.
        var rest = shown[(heading + 1)..];
        var deep = ShippedModels.Folder("koala-mini-eagle-k2").Length + 20;   // one option with the path of a clone far down
        Assert.All(rest, line => Assert.InRange(line.Length, 0, Math.Max(width, deep)));
        var commands = string.Join('\n', rest).Replace(" \\\n", " ", StringComparison.Ordinal).Split('\n')
            .Where(line => line.Contains("koala ", StringComparison.Ordinal) && line.Contains("--", StringComparison.Ordinal))
            .Select(line => Blanks().Replace(line, " ")).ToArray();
        Assert.Equal(3, commands.Length);
        Assert.EndsWith($" --head {ShippedModels.Folder("koala-mini-eagle-k2")} --colour --prompt \"Name a colour.\"",
            commands[0], StringComparison.Ordinal);
        Assert.EndsWith("mt-bench.jsonl", commands[2], StringComparison.Ordinal);
    }

    [Fact]
    public void A_command_that_is_wider_than_the_terminal_is_broken_between_its_options()
    {
        var command = new TypedCommand("Try it", ["koala run", "--a 1", "--b 2", "--c 3"]);
        Assert.Equal("Try it: koala run --a 1 --b 2 --c 3", command.Render(null));
        Assert.Equal("Try it: koala run --a 1 --b 2 --c 3", command.Render(35));
        Assert.Equal("Try it:\n  koala run --a 1 --b 2 --c 3", command.Render(34));
        Assert.Equal("Try it:\n  koala run --a 1 --b 2 --c 3", command.Render(29));
        Assert.Equal("Try it:\n  koala run --a 1 --b 2 \\\n      --c 3", command.Render(28));
        Assert.Equal("Try it:\n  koala run \\\n      --a 1 \\\n      --b 2 \\\n      --c 3", command.Render(16));
    }

    [Fact]
    public void Without_colours_a_terminal_shows_brackets()
    {
        var output = CommandRun.InTerminal(80, ColorSystemSupport.NoColors, "demo", "--prompt", "Name a colour.").AssertDone().Output;
        Assert.Contains("with the head: [accepted] and bonus", output, StringComparison.Ordinal);
        Assert.DoesNotContain("48;2", output, StringComparison.Ordinal);
    }

    [Fact]
    public void Outside_a_clone_it_says_where_to_run_it()
    {
        var e = Assert.Throws<KoalaException>(() => Koala.Cli.Clone.Find(Path.GetTempPath(), "demo", "shows models of the project"));
        Assert.Equal("koala demo: shows models of the project, but this koala is not in a clone of the project. "
            + "Fix: run ./koala demo in a clone.", e.Message);
    }

    private static string Text(string[] lines, string heading)
    {
        var start = Array.IndexOf(lines, heading) + 1;
        var end = Array.FindIndex(lines, start, line => line.StartsWith("With the head;", StringComparison.Ordinal)
            || line.StartsWith("               tokens/s", StringComparison.Ordinal));
        return string.Join('\n', lines[start..(end - 1)]);
    }

    private static double[] Figures(string[] lines, string row) =>
    [
        .. lines.Single(line => line.StartsWith(row, StringComparison.Ordinal))[row.Length..]
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(word => double.Parse(word, CultureInfo.InvariantCulture)),
    ];

    [GeneratedRegex(@"[\[\]]")]
    private static partial Regex Bracket();

    [GeneratedRegex(@"it is ([\d.]+) times as fast")]
    private static partial Regex Times();

    [GeneratedRegex(" +")]
    private static partial Regex Blanks();

    [GeneratedRegex(@"\e\[[\d;?]*[A-Za-z]")]
    private static partial Regex Ansi();
}
