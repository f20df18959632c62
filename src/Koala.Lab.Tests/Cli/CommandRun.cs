using System.Text;
using System.Text.Json;
using Koala.Cli;
using Koala.Lab.Decoding.Cost;
using Spectre.Console;

namespace Koala.Lab.Tests.Cli;

/// <summary>The result of running the command in this process.</summary>
internal sealed record CommandRun(int ExitCode, string Output, string Error)
{
    public static CommandRun Of(params string[] args) => Of("", null, args, default);

    public static CommandRun WithInput(string input, params string[] args) => Of(input, null, args, default);

    /// <summary>
    /// Runs the command and interrupts it, as by Ctrl-C, when standard error contains <paramref name="at"/>.
    /// </summary>
    public static CommandRun Interrupted(string at, params string[] args)
    {
        using var source = new CancellationTokenSource();
        return Of("", line =>
        {
            if (line.Contains(at, StringComparison.Ordinal)) source.Cancel();
        }, args, source.Token);
    }

    /// <summary>Runs the command as in a terminal of this width.</summary>
    public static CommandRun InTerminal(int width, ColorSystemSupport colours, params string[] args) =>
        Of("", null, args, default, writer => Terminal(writer, width, colours));

    /// <summary>A terminal of this width whose screen is a writer.</summary>
    public static IAnsiConsole Terminal(TextWriter writer, int width, ColorSystemSupport colours = ColorSystemSupport.NoColors) =>
        AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = AnsiSupport.Yes,
            ColorSystem = colours,
            Interactive = InteractionSupport.No,
            Out = new TerminalOutput(writer, width),
        });

    public string[] Lines => Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    public JsonElement Json => Parse(Output);

    public static JsonElement Parse(string json)
    {
        using var document = JsonDocument.Parse(json);
        return document.RootElement.Clone();
    }

    /// <summary>
    /// Asserts that the input was refused: exit code 2, nothing on standard output, and one line on standard error with
    /// these words.
    /// </summary>
    public void AssertRefused(params string[] words)
    {
        Assert.Equal(2, ExitCode);
        Assert.Equal("", Output);
        Assert.Single(Error.TrimEnd('\n').Split('\n'));
        foreach (var word in words) Assert.Contains(word, Error, StringComparison.Ordinal);
    }

    public CommandRun AssertDone()
    {
        Assert.True(ExitCode == 0, $"exit code {ExitCode}: {Error}");
        return this;
    }

    private static CommandRun Of(
        string input, Action<string>? onError, string[] args, CancellationToken cancel, Func<TextWriter, IAnsiConsole>? terminal = null)
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new WatchedWriter(onError) { NewLine = "\n" };
        using var reader = new StringReader(input);
        // Tests run beside other tests, so no speed that they measure is judged.
        var streams = new Streams(output, error, reader, cancel) { Limits = DisturbanceLimits.None, Shown = TimeSpan.Zero };
        if (terminal is not null) streams = streams with { ConsoleOf = terminal };
        var code = KoalaCommand.Run(args, streams);
        return new CommandRun(code, output.ToString(), error.ToString());
    }

    private sealed class TerminalOutput(TextWriter writer, int width) : IAnsiConsoleOutput
    {
        public TextWriter Writer => writer;

        public bool IsTerminal => true;

        public int Width => width;

        public int Height => 50;

        public void SetEncoding(Encoding encoding)
        {
            // A string has none.
        }
    }

    private sealed class WatchedWriter(Action<string>? onLine) : StringWriter
    {
        public override void WriteLine(string? value)
        {
            base.WriteLine(value);
            onLine?.Invoke(value ?? "");
        }
    }
}
